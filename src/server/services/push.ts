import { hashKey, type Hash } from "#core/hash.ts";
import type {
  CommitRequest,
  FindMissingRequest,
  FindMissingResponse,
  PushServiceServer,
  PutObjectsRequest,
  PutTreesRequest,
} from "#gen/pogo/v1/push.ts";
import { requireWrite, type Caller } from "../auth.ts";
import type { Sql } from "../db/connect.ts";
import { heldObjects } from "../db/objects.ts";
import { findTombstones } from "../db/obliterated.ts";
import type { RepositoryRow } from "../db/repositories.ts";
import { promised } from "../db/revive.ts";
import { findTrees } from "../db/trees.ts";
import { countContents, overQuota } from "../db/usage.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { commit } from "./push/commit.ts";
import { putObjects } from "./push/put-objects.ts";
import { putTrees } from "./push/put-trees.ts";
import { checkHashes } from "./requests.ts";

/** Makes the service. */
export function pushService(parts: Parts, handlers: CallHandlers): PushServiceServer {
  const { unary, clientStream } = handlers;
  return {
    findMissing: unary((request: FindMissingRequest, caller) =>
      findMissing(parts, request, caller),
    ),
    putObjects: clientStream((requests: AsyncIterable<PutObjectsRequest>, caller) =>
      putObjects(parts, requests, caller),
    ),
    putTrees: clientStream((requests: AsyncIterable<PutTreesRequest>, caller) =>
      putTrees(parts, requests, caller),
    ),
    commit: unary((request: CommitRequest, caller) => commit(parts, request, caller)),
  };
}

/** Says what the repository lacks; what other repositories hold does not count. */
export async function findMissing(
  { sql }: Parts,
  request: FindMissingRequest,
  caller: Caller | undefined,
): Promise<FindMissingResponse> {
  // Who may not write has nothing to send, and would only learn what is there.
  const { repository } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  checkHashes(request.objects, request.trees);
  const objects = await promised(sql, repositoryId, request.objects, "objects", heldObjects);
  const trees = await promised(sql, repositoryId, request.trees, "trees", findTrees);
  const tombstones = await findTombstones(sql, request.objects);
  const obliterated = new Set(tombstones.map(({ hash }) => hashKey(hash)));
  return {
    obliterated: [...request.objects.keys()].filter((index) => {
      return obliterated.has(hashKey(request.objects[index]!));
    }),
    room: await findRoom(sql, repository, request.bytes),
    objects: missingPositions(request.objects, objects),
    trees: missingPositions(request.trees, trees),
  };
}

/** How many bytes more a repository may hold; refuses when that is less than what is to come. */
async function findRoom(
  sql: Sql,
  { repositoryId, name, quotaBytes }: RepositoryRow,
  bytes = 0,
): Promise<number | undefined> {
  if (quotaBytes === null) return undefined;
  const room = Math.max(0, quotaBytes - (await countContents(sql, repositoryId)));
  if (bytes > room) throw overQuota({ name, quotaBytes }, bytes - room);
  return room;
}

function missingPositions(hashes: Hash[], held: { has(key: string): boolean }): number[] {
  return [...hashes.keys()].filter((index) => !held.has(hashKey(hashes[index]!)));
}
