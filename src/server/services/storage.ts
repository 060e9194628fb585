import { PogoError } from "#core/errors.ts";
import type {
  CollectGarbageRequest,
  MeasureUsageResponse,
  RebalanceResponse,
  SetQuotaRequest,
  SetQuotaResponse,
  StorageServiceServer,
  VerifyRequest,
} from "#gen/pogo/v1/storage.ts";
import { audit } from "../access/audit.ts";
import { requireAdmin, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { countContents, listUsage, measureStore, setQuota as setInDatabase } from "../db/usage.ts";
import { collect, collectOptions } from "../gc/collect.ts";
import { verify } from "../gc/verify.ts";
import type { VolumesStore } from "../store/volumes.ts";
import type { CallHandlers, Parts } from "./calls.ts";

export type StorageParts = Parts & {
  volumes: VolumesStore | undefined;
  retentionMs: number | undefined;
};

/** Makes the service. */
export function storageService(
  parts: StorageParts,
  { unary, serverStream }: CallHandlers,
): StorageServiceServer {
  return {
    rebalance: serverStream(() => rebalance(parts)),
    collectGarbage: serverStream(({ dryRun }: CollectGarbageRequest) =>
      collect(parts, { ...collectOptions(parts.retentionMs), dryRun }),
    ),
    verify: serverStream(({ share }: VerifyRequest) => verify(parts, checkShare(share))),
    measureUsage: unary(() => measureUsage(parts)),
    setQuota: unary((request: SetQuotaRequest, caller) => setQuota(parts, request, caller)),
  };
}

async function measureUsage({ sql }: Parts): Promise<MeasureUsageResponse> {
  const rows = await listUsage(sql);
  const repositories = rows.map((row) => ({ ...row, quotaBytes: row.quotaBytes ?? undefined }));
  return { repositories, ...(await measureStore(sql)) };
}

/** Says what a repository may hold. One that holds more takes nothing in until it holds less. */
async function setQuota(
  { sql }: Parts,
  request: SetQuotaRequest,
  caller: Caller | undefined,
): Promise<SetQuotaResponse> {
  const { repository, caller: user } = await requireAdmin(sql, caller, request.repository);
  const { repositoryId, name: repositoryName } = repository;
  const quotaBytes = request.quotaBytes ?? null;
  await transaction(sql, async (tx) => {
    if (!(await setInDatabase(tx, repositoryId, quotaBytes))) return;
    await audit(tx, user, { repositoryName, details: { quotaBytes } });
  });
  return { uniqueBytes: await countContents(sql, repositoryId) };
}

function checkShare(share: number): number {
  if (share >= 0 && share <= 1) return share;
  throw new PogoError("usage", `${share} is not a share`);
}

async function* rebalance({ volumes }: StorageParts): AsyncGenerator<RebalanceResponse> {
  if (!volumes) {
    throw new PogoError("usage", "the objects are not on several volumes", {
      hint: "pogo serve --objects DIR,DIR",
    });
  }
  yield* volumes.rebalance();
}
