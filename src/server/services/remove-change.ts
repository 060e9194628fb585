/**
 * Hides a change. Its children move to its parents with their files as they are, so what they
 * touch has to be compared with other trees: that is walked before the transaction, and again
 * from the start if somebody touched one of them in between.
 */
import { PogoError } from "#core/errors.ts";
import { pageMax } from "#core/limits.ts";
import type { ChangeEffect } from "#core/operation.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { RemoveChangeRequest, RemoveChangeResponse } from "#gen/pogo/v1/change.ts";
import { Change } from "#gen/pogo/v1/common.ts";
import { requireWrite, type Caller } from "../auth.ts";
import { bookmarksOf } from "../db/bookmarks.ts";
import {
  findNamedVersion,
  insertVersion,
  lockChanges,
  readChanges,
  readChildren,
  readParents,
  readVersion,
  type ChangeRow,
  type ParentRow,
  type VersionRow,
} from "../db/changes.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { insertFiles, type FileChange } from "../db/files.ts";
import { openMutation } from "../db/mutation.ts";
import type { Parts } from "./calls.ts";
import { readChangeMessage, readChangeMessages } from "./change-message.ts";
import { replaceParent, visibleParents } from "./parents.ts";
import { checkRequestId, recallOperation } from "./requests.ts";
import { resolveChange } from "./revision.ts";
import { diffTrees, treeReader } from "./tree-walk.ts";

type Plan = { change: ChangeRow; parents: ParentRow[]; children: ChildPlan[] };
type ChildPlan = { current: VersionRow; parents: ParentRow[]; base: VersionRow | undefined };
type Removed = { versionId: number; childVersionIds: number[]; bookmarks: string[] };
type Target = {
  repositoryId: number;
  caller: Caller;
  requestId: Uint8Array;
  revision: string;
};

const kind = "remove-change";
const attemptsMax = 10;
// What does not fit in a message can be listed.
const answerBytes = 512 * 1024;

/** Hides a change and gives its children its parents. */
export async function removeChange(
  { sql }: Parts,
  request: RemoveChangeRequest,
  caller: Caller | undefined,
): Promise<RemoveChangeResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const requestId = checkRequestId(request.requestId);
  const { revision } = request;
  const target: Target = { repositoryId, caller: user, requestId, revision };
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const recalled = await recallRemoval(sql, target);
    if (recalled) return await respond(sql, target, recalled);
    const { changeId } = await resolveChange(sql, repositoryId, revision);
    const plan = await planRemoval(sql, repositoryId, changeId);
    const files: FileChange[][] = [];
    for (const child of plan.children) files.push(await walkDifference(sql, repositoryId, child));
    const removed = await transaction(sql, (tx) => remove(tx, target, plan, files));
    if (removed) return await respond(sql, target, removed);
  }
  throw new PogoError("conflict", `change ${revision} is being built on all the time`, {
    hint: "run the command again",
  });
}

async function recallRemoval(sql: Sql, target: Target): Promise<Removed | undefined> {
  const { repositoryId, caller, requestId, revision } = target;
  const asked = { repositoryId, requestId, caller, kind } as const;
  const done = await recallOperation(sql, asked, ({ details }) => {
    return details["revision"] === revision;
  });
  if (!done) return undefined;
  const versionIdOf = async ({ change, after }: ChangeEffect) => {
    const version = await findNamedVersion(sql, repositoryId, change, after.version);
    if (!version) throw new Error(`version ${after.version} of ${change} is gone`);
    return version.versionId;
  };
  const { changes, bookmarks } = done.effects;
  const hidden = changes.find(({ after }) => after.hidden);
  if (!hidden) throw new Error("a removal hid nothing");
  const childVersionIds: number[] = [];
  for (const effect of changes) {
    if (effect !== hidden) childVersionIds.push(await versionIdOf(effect));
  }
  const versionId = await versionIdOf(hidden);
  return { versionId, childVersionIds, bookmarks: bookmarks.map(({ bookmark }) => bookmark) };
}

async function planRemoval(sql: Queries, repositoryId: number, changeId: number): Promise<Plan> {
  const [change] = await readChanges(sql, repositoryId, [changeId]);
  if (!change || change.isRemoved) {
    throw new PogoError("not-found", `change ${change?.name ?? changeId} was removed`);
  }
  const own = await readParents(sql, repositoryId, change.versionId);
  const parents = await visibleParents(sql, repositoryId, own);
  const children: ChildPlan[] = [];
  const childIds = await readChildren(sql, repositoryId, changeId);
  for (const { versionId } of await readChanges(sql, repositoryId, childIds)) {
    const before = await readParents(sql, repositoryId, versionId);
    const after = replaceParent(before, changeId, parents);
    const current = await readVersion(sql, repositoryId, versionId);
    const isSameFirst = after[0]?.versionId === before[0]?.versionId;
    const first = after[0] && (await readVersion(sql, repositoryId, after[0].versionId));
    children.push({ current, parents: after, base: isSameFirst ? current : first });
  }
  children.sort((a, b) => a.current.changeId - b.current.changeId);
  return { change, parents, children };
}

async function walkDifference(
  sql: Sql,
  repositoryId: number,
  { current, base }: ChildPlan,
): Promise<FileChange[]> {
  const read = treeReader(sql, repositoryId);
  return await Array.fromAsync(diffTrees(read, base?.tree ?? emptyTreeHash, current.tree));
}

async function remove(
  tx: Queries,
  target: Target,
  plan: Plan,
  files: FileChange[][],
): Promise<Removed | undefined> {
  const { repositoryId, caller, requestId, revision } = target;
  const { change, parents, children } = plan;
  const involved = [change, ...parents, ...children.map((child) => child.current)];
  const ids = involved.map(({ changeId }) => changeId);
  await lockChanges(tx, repositoryId, ids, "update");
  const now = await planRemoval(tx, repositoryId, change.changeId);
  if (!Bun.deepEquals(now, plan)) return undefined;

  const mutation = openMutation(tx, repositoryId);
  await mutation.hideChange(change.changeId);
  const moved: VersionRow[] = [];
  for (const [index, { current, parents, base }] of children.entries()) {
    const version = await insertVersion(tx, repositoryId, {
      changeId: current.changeId,
      tree: current.tree,
      description: current.description,
      authorId: caller.userId,
      parents,
      baseVersionId: base?.versionId,
    });
    // It may be nearer to the root now; its descendants stay younger than it.
    await mutation.moveChange(version);
    await insertFiles(tx, repositoryId, version.versionId, files[index] ?? []);
    moved.push(version);
  }
  const bookmarks = await bookmarksOf(tx, repositoryId, change.changeId);
  for (const bookmark of bookmarks) {
    const [first] = parents;
    if (first) await mutation.moveBookmark(bookmark, first.changeId);
    else await mutation.deleteBookmark(bookmark);
  }
  const details = { revision, change: change.name };
  await mutation.record({ requestId, caller, kind, details });
  const childVersionIds = moved.map((version) => version.versionId);
  return { versionId: change.versionId, childVersionIds, bookmarks };
}

async function respond(
  sql: Sql,
  { repositoryId, caller }: Target,
  { versionId, childVersionIds, bookmarks }: Removed,
): Promise<RemoveChangeResponse> {
  const listed = childVersionIds.slice(0, pageMax);
  const children: Change[] = [];
  let bytes = 0;
  for (const child of await readChangeMessages(sql, repositoryId, listed, caller)) {
    bytes += Change.encode(child).finish().length;
    if (bytes < answerBytes) children.push(child);
  }
  return {
    change: await readChangeMessage(sql, repositoryId, versionId, caller),
    children,
    bookmarks: bookmarks.slice(0, pageMax),
  };
}
