import { PogoError } from "#core/errors.ts";
import type {
  CollectGarbageRequest,
  MeasureUsageResponse,
  RebalanceResponse,
  SetQuotaRequest,
  SetQuotaResponse,
  StorageServiceServer,
  VerifyRequest,
  VerifyResponse,
} from "#gen/pogo/v1/storage.ts";
import { audit } from "../access/audit.ts";
import { requireAdmin, requireUser, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { countContents, listUsage, measureStore, setQuota as setInDatabase } from "../db/usage.ts";
import { collect, collectOptions } from "../gc/collect.ts";
import { verify } from "../gc/verify.ts";
import type { ObjectStore } from "../store/store.ts";
import type { VolumesStore } from "../store/volumes.ts";
import type { CallHandlers, Parts } from "./calls.ts";

export type StorageParts = Parts & {
  volumes: VolumesStore | undefined;
  /** Where objects lie, each by itself. */
  places: readonly ObjectStore[];
  /** Opens what may have what is damaged here. */
  openMirrors: (location: string) => Promise<AsyncDisposable & { mirrors: ObjectStore[] }>;
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
    verify: serverStream((request: VerifyRequest, caller) => verifyAll(parts, request, caller)),
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

async function* verifyAll(
  parts: StorageParts,
  { share: asked, repair, from }: VerifyRequest,
  caller: Caller | undefined,
): AsyncGenerator<VerifyResponse> {
  const share = checkShare(asked);
  if (!repair && from !== "") {
    throw new PogoError("usage", "without a repair nothing is taken from a mirror");
  }
  if (!repair) return yield* verify(parts, { share });
  await using opened = from === "" ? undefined : await parts.openMirrors(from);
  const user = requireUser(caller);
  await transaction(parts.sql, (tx) => audit(tx, user, { details: { repair, from } }));
  yield* verify(parts, { share, sources: opened?.mirrors ?? [] });
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
