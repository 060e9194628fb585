import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey } from "#core/hash.ts";
import type {
  CollectGarbageRequest,
  GetStoredObjectsRequest,
  GetStoredObjectsResponse,
  MeasureUsageResponse,
  ObliterateRequest,
  RebalanceResponse,
  SetQuotaRequest,
  SetQuotaResponse,
  StorageServiceServer,
  TakeSnapshotResponse,
  VerifyRequest,
  VerifyResponse,
} from "#gen/pogo/v1/storage.ts";
import { toParts } from "#rpc/blobs.ts";
import { audit } from "../access/audit.ts";
import { requireAdmin, requireUser, type Caller } from "../auth.ts";
import { spoolSnapshot } from "../backup/spool.ts";
import { transaction } from "../db/connect.ts";
import { findStored } from "../db/objects.ts";
import { countContents, listUsage, measureStore, setQuota as setInDatabase } from "../db/usage.ts";
import { collect, collectOptions } from "../gc/collect.ts";
import { verify } from "../gc/verify.ts";
import type { ObjectStore } from "../store/store.ts";
import type { VolumesStore } from "../store/volumes.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { obliterate } from "./obliterate.ts";
import { readObjects } from "./pull.ts";
import { checkHashes } from "./requests.ts";

export type StorageParts = Parts & {
  volumes: VolumesStore | undefined;
  /** Objects as they are stored: encrypted, if they are. */
  stored: ObjectStore;
  /** Where objects lie, each by itself. */
  places: readonly ObjectStore[];
  /** Opens what may have what is damaged here. */
  openMirrors: (location: string) => Promise<AsyncDisposable & { mirrors: ObjectStore[] }>;
  retentionMs: number | undefined;
  dataDirectory: string;
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
    obliterate: unary((request: ObliterateRequest, caller) => obliterate(parts, request, caller)),
    setQuota: unary((request: SetQuotaRequest, caller) => setQuota(parts, request, caller)),
    takeSnapshot: serverStream((_request, caller) => takeSnapshot(parts, caller)),
    getStoredObjects: serverStream((request: GetStoredObjectsRequest) =>
      getStoredObjects(parts, request),
    ),
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

/** Sends what the database holds. Whoever has it has read everything, so it is noted. */
async function* takeSnapshot(
  { sql, dataDirectory }: StorageParts,
  caller: Caller | undefined,
): AsyncGenerator<TakeSnapshotResponse> {
  const user = requireUser(caller);
  await transaction(sql, (tx) => audit(tx, user, { details: {} }));
  for await (const data of spoolSnapshot({ sql, directory: dataDirectory })) yield { data };
}

async function* getStoredObjects(
  { sql, stored }: StorageParts,
  { hashes }: GetStoredObjectsRequest,
): AsyncGenerator<GetStoredObjectsResponse> {
  checkHashes(hashes);
  const sizes = await findStored(sql, hashes);
  const rows = hashes.map((hash) => ({ hash, storedSize: sizes.get(hashKey(hash)) ?? 0 }));
  for await (const parts of toParts(readObjects(orNothing(stored), rows))) yield { parts };
}

/** A store that gives no bytes for what it cannot give as it was. */
function orNothing(store: ObjectStore): Pick<ObjectStore, "get"> {
  return {
    async get(hash) {
      try {
        return await store.get(hash);
      } catch (error) {
        if (isPogoError(error, "corrupt")) return new Uint8Array(0);
        throw error;
      }
    },
  };
}
