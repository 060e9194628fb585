import { PogoError } from "#core/errors.ts";
import { mutationAttemptsMax, parentsMax } from "#core/limits.ts";
import { isChangeName } from "#core/name.ts";
import type {
  MergeChangesRequest,
  MergeChangesResponse,
  MergeServiceServer,
  SyncBookmarkRequest,
} from "#gen/pogo/v1/merge.ts";
import { requireWrite, type Caller } from "../auth.ts";
import {
  findChange,
  readNamedVersion,
  lockChanges,
  readChanges,
  type ParentRow,
} from "../db/changes.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { openMutation } from "../db/mutation.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readChangeMessage } from "./change-message.ts";
import { insertMerge, mergeParents, type Merged } from "./merge/merge-versions.ts";
import { fittingPaths } from "./paths-answer.ts";
import { checkDescription, checkRequestId, recallOperation } from "./requests.ts";
import { resolveRevision } from "./revision.ts";
import { bookmarkQueue, syncBookmark } from "./merge/sync.ts";

type Target = { repositoryId: number; caller: Caller; request: MergeChangesRequest };
type Answer = { versionId: number; conflicts: string[] };

const kind = "merge-changes";

/** Makes the service. */
export function mergeService(parts: Parts, { unary }: CallHandlers): MergeServiceServer {
  const queue = bookmarkQueue();
  return {
    mergeChanges: unary((request: MergeChangesRequest, caller) =>
      mergeChanges(parts, request, caller),
    ),
    syncBookmark: unary((request: SyncBookmarkRequest, caller) =>
      syncBookmark(parts, queue, request, caller),
    ),
  };
}

/** Creates a change that has several parents, and their files merged. */
export async function mergeChanges(
  parts: Parts,
  request: MergeChangesRequest,
  caller: Caller | undefined,
): Promise<MergeChangesResponse> {
  const { sql } = parts;
  checkMerge(request);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const target: Target = { repositoryId, caller: user, request };
  for (let attempt = 1; attempt <= mutationAttemptsMax; attempt++) {
    const recalled = await recallMerge(sql, target);
    if (recalled) return await respond(sql, target, recalled);
    await refuseTaken(sql, repositoryId, request.change);
    const parents = await resolveParents(sql, repositoryId, request.revisions);
    const merged = await mergeParents(parts, repository, parents);
    const answer = await transaction(sql, (tx) => write(tx, target, merged));
    if (answer) return await respond(sql, target, answer);
  }
  throw new PogoError("conflict", "the changes are being removed all the time", {
    hint: "run the command again",
  });
}

/** Before any work is done for it. */
async function refuseTaken(sql: Sql, repositoryId: number, name: string): Promise<void> {
  if (!(await findChange(sql, repositoryId, name))) return;
  throw new PogoError("already-exists", `there is a change named ${name} already`);
}

function checkMerge({ requestId, revisions, description, change }: MergeChangesRequest): void {
  checkRequestId(requestId);
  checkDescription(description);
  if (!isChangeName(change)) {
    throw new PogoError("usage", `${JSON.stringify(change)} is not the name of a change`);
  }
  if (revisions.length >= 2 && revisions.length <= parentsMax) return;
  throw new PogoError("usage", `${revisions.length} changes to merge: 2 to ${parentsMax} may be`);
}

async function recallMerge(sql: Sql, target: Target): Promise<Answer | undefined> {
  const { repositoryId, caller, request } = target;
  const { requestId } = request;
  const asked = { repositoryId, requestId, caller, kind } as const;
  const done = await recallOperation(sql, asked, ({ details }) => {
    return details["change"] === request.change;
  });
  if (!done) return undefined;
  const made = await readNamedVersion(sql, repositoryId, request.change, 1);
  return { versionId: made.versionId, conflicts: done.details["conflicts"] as string[] };
}

async function resolveParents(
  sql: Sql,
  repositoryId: number,
  revisions: readonly string[],
): Promise<ParentRow[]> {
  const parents: ParentRow[] = [];
  for (const revision of revisions) {
    if (revision === "") throw new PogoError("usage", "no revision is given");
    const { change, versionId } = await resolveRevision(sql, repositoryId, revision);
    if (change.isRemoved) throw new PogoError("not-found", `change ${change.name} was removed`);
    if (parents.some(({ changeId }) => changeId === change.changeId)) {
      throw new PogoError("usage", `change ${change.name} is named twice`);
    }
    parents.push({ changeId: change.changeId, versionId });
  }
  return parents;
}

async function write(tx: Queries, target: Target, merged: Merged): Promise<Answer | undefined> {
  const { repositoryId, caller, request } = target;
  const ids = merged.parents.map(({ changeId }) => changeId);
  await lockChanges(tx, repositoryId, ids, "share");
  const parents = await readChanges(tx, repositoryId, ids);
  if (parents.some(({ isRemoved }) => isRemoved)) return undefined;
  const { change: name, description } = request;
  const mutation = openMutation(tx, repositoryId);
  const created = { repositoryId, name, caller, description };
  const version = await insertMerge({ tx, mutation }, merged, created);
  if (!version) return undefined;
  const { conflicts } = merged;
  const { requestId } = request;
  const details = { change: name, version: version.number, conflicts };
  await mutation.record({ requestId, caller, kind, details });
  return { versionId: version.versionId, conflicts };
}

async function respond(
  sql: Sql,
  { repositoryId, caller }: Target,
  { versionId, conflicts }: Answer,
): Promise<MergeChangesResponse> {
  return {
    change: await readChangeMessage(sql, repositoryId, versionId, caller),
    conflicts: fittingPaths(conflicts),
  };
}
