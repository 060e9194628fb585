import { PogoError } from "#core/errors.ts";
import { answerBytes, pageMax, pathsPerRequestMax } from "#core/limits.ts";
import { checkPath } from "#core/path.ts";
import { encodeTree } from "#core/tree.ts";
import { Change } from "#gen/pogo/v1/common.ts";
import { Version } from "#gen/pogo/v1/query.ts";
import type {
  GetChangeRequest,
  GetChangeResponse,
  GetEntryRequest,
  GetEntryResponse,
  ListChangesRequest,
  ListChangesResponse,
  ListVersionsRequest,
  ListVersionsResponse,
  QueryServiceServer,
} from "#gen/pogo/v1/query.ts";
import { requireRead, type Caller } from "../auth.ts";
import { listVersions as listInDatabase } from "../db/change-places.ts";
import type { Sql } from "../db/connect.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readChangeMessage, readChangeMessages } from "./change-message.ts";
import { ancestors, newest, touching } from "./history.ts";
import { resolveRevision } from "./revision.ts";
import { findEntry } from "./tree-lookup.ts";
import { treeReader } from "./tree-walk.ts";

const defaultLimit = 20;

/** Makes the service. */
export function queryService(parts: Parts, handlers: CallHandlers): QueryServiceServer {
  const { unary, serverStream } = handlers;
  return {
    getChange: unary((request: GetChangeRequest, caller) => getChange(parts, request, caller)),
    listChanges: serverStream((request: ListChangesRequest, caller) =>
      listChanges(parts, request, caller),
    ),
    getEntry: unary((request: GetEntryRequest, caller) => getEntry(parts, request, caller)),
    listVersions: serverStream((request: ListVersionsRequest, caller) =>
      listVersions(parts, request, caller),
    ),
  };
}

/** Finds the version that a revision names. */
export async function getChange(
  { sql }: Parts,
  request: GetChangeRequest,
  caller: Caller | undefined,
): Promise<GetChangeResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  const { versionId } = await resolveRevision(sql, repositoryId, request.revision);
  return { change: await readChangeMessage(sql, repositoryId, versionId, caller) };
}

/** Lists changes, newest first, reading no more of the graph than it takes. */
export async function* listChanges(
  { sql }: Parts,
  request: ListChangesRequest,
  caller: Caller | undefined,
): AsyncGenerator<ListChangesResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  if (request.paths.length > pathsPerRequestMax) {
    throw new PogoError("usage", `${request.paths.length} paths: ${pathsPerRequestMax} may be`);
  }
  request.paths.forEach(checkPath);
  const limit = request.limit || defaultLimit;
  const nodes = await listedChanges(sql, repositoryId, request, limit);
  let listed = 0;
  let page: number[] = [];
  for await (const { versionId } of nodes) {
    page.push(versionId);
    listed++;
    if (listed === limit) break;
    if (page.length < pageMax) continue;
    yield* toMessages(await readChangeMessages(sql, repositoryId, page, caller));
    page = [];
  }
  yield* toMessages(await readChangeMessages(sql, repositoryId, page, caller));
}

/** Finds one file or directory of a snapshot. */
export async function getEntry(
  { sql }: Parts,
  request: GetEntryRequest,
  caller: Caller | undefined,
): Promise<GetEntryResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  if (request.path !== "") checkPath(request.path);
  const { versionId } = await resolveRevision(sql, repositoryId, request.revision);
  const change = await readChangeMessage(sql, repositoryId, versionId, caller);
  if (request.path === "") {
    return { change, entry: { $case: "rootTree", value: change.tree } };
  }
  const entry = await findEntry(treeReader(sql, repositoryId), change.tree, request.path);
  if (!entry) {
    const where = `change ${change.name} has no ${JSON.stringify(request.path)}`;
    throw new PogoError("not-found", where, { hint: `see what it has: pogo ls ${change.prefix}` });
  }
  return { change, entry: { $case: "entryTree", value: encodeTree([entry]) } };
}

/** Lists the versions that a change has had, newest first. */
export async function* listVersions(
  { sql }: Parts,
  request: ListVersionsRequest,
  caller: Caller | undefined,
): AsyncGenerator<ListVersionsResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  const { change } = await resolveRevision(sql, repositoryId, request.revision);
  let left = request.limit || Number.POSITIVE_INFINITY;
  for (let below = 2 ** 31 - 1; left > 0;) {
    const limit = Math.min(left, pageMax);
    const rows = await listInDatabase(sql, repositoryId, change.changeId, below, limit);
    const ids = rows.map(({ versionId }) => versionId);
    const messages = await readChangeMessages(sql, repositoryId, ids, caller);
    const versions = rows.map((row, index) => ({
      change: messages[index],
      createdAt: row.createdAt.getTime(),
      diverged: row.isDiverged,
      expired: row.isExpired,
    }));
    for (const page of paged(versions, Version)) yield { versions: page };
    if (rows.length < limit) return;
    left -= rows.length;
    below = rows.at(-1)!.number;
  }
}

async function listedChanges(
  sql: Sql,
  repositoryId: number,
  request: ListChangesRequest,
  limit: number,
) {
  const starts: number[] = [];
  for (const revision of request.revisions) {
    const { change } = await resolveRevision(sql, repositoryId, revision);
    starts.push(change.changeId);
  }
  const nodes =
    starts.length === 0
      ? newest(sql, repositoryId, limit)
      : ancestors(sql, repositoryId, starts, limit);
  return request.paths.length === 0 ? nodes : touching(sql, repositoryId, nodes, request.paths);
}

function* toMessages(changes: Change[]): Generator<ListChangesResponse> {
  for (const page of paged(changes, Change)) yield { changes: page };
}

/** Fills messages. */
function* paged<T>(
  items: readonly T[],
  codec: { encode(item: T): { finish(): Uint8Array } },
): Generator<T[]> {
  let gathered: T[] = [];
  let bytes = 0;
  for (const item of items) {
    gathered.push(item);
    bytes += codec.encode(item).finish().length;
    if (bytes < answerBytes) continue;
    yield gathered;
    gathered = [];
    bytes = 0;
  }
  if (gathered.length > 0) yield gathered;
}
