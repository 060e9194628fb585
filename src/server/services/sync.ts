/**
 * Brings a bookmark and a change together. What it comes to is decided without locks, a merge is
 * made, and then the transaction looks whether all is still so: whoever was faster makes it start
 * over, here and not at the user's. Those who sync one bookmark through one server wait for each
 * other before they merge, so that no merge is made in vain.
 */
import { PogoError } from "#core/errors.ts";
import { checkBookmarkName, isChangeName } from "#core/name.ts";
import {
  SyncOutcome,
  type SyncBookmarkRequest,
  type SyncBookmarkResponse,
} from "#gen/pogo/v1/merge.ts";
import { requireWrite, type Caller } from "../auth.ts";
import { findBookmark, type BookmarkRow } from "../db/bookmarks.ts";
import {
  findNamedVersion,
  lockChanges,
  readChanges,
  readVersion,
  type ChangeRow,
} from "../db/changes.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { openMutation } from "../db/mutation.ts";
import type { RepositoryRow } from "../db/repositories.ts";
import type { Parts } from "./calls.ts";
import { readChangeMessage } from "./change-message.ts";
import { openVersionGraph } from "./merge-bases.ts";
import { insertMerge, isConflicted, mergeParents, type Merged } from "./merge-versions.ts";
import { fittingPaths } from "./paths-answer.ts";
import { checkDescription, checkRequestId, recallOperation } from "./requests.ts";
import { resolveChange } from "./revision.ts";

/** Runs tasks of one key one after another. */
export type BookmarkQueue = <T>(key: string, task: () => Promise<T>) => Promise<T>;

type Target = { repository: RepositoryRow; caller: Caller; request: SyncBookmarkRequest };
type Decision = {
  outcome: SyncOutcome;
  change: ChangeRow;
  bookmark: BookmarkRow | undefined;
};
type Answer = { outcome: SyncOutcome; versionId: number; conflicts: string[] };

const kind = "sync-bookmark";
const attemptsMax = 100;

/** Makes an empty queue. */
export function bookmarkQueue(): BookmarkQueue {
  const last = new Map<string, Promise<void>>();
  return async (key, task) => {
    const before = last.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    last.set(key, promise);
    try {
      await before;
      return await task();
    } finally {
      if (last.get(key) === promise) last.delete(key);
      resolve();
    }
  };
}

/** Syncs a change with a bookmark; see the protocol. */
export async function syncBookmark(
  parts: Parts,
  queue: BookmarkQueue,
  request: SyncBookmarkRequest,
  caller: Caller | undefined,
): Promise<SyncBookmarkResponse> {
  const { sql } = parts;
  checkRequestId(request.requestId);
  checkBookmarkName(request.bookmark);
  checkDescription(request.description);
  if (!isChangeName(request.change)) {
    throw new PogoError("usage", `${JSON.stringify(request.change)} is not the name of a change`);
  }
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const target: Target = { repository, caller: user, request };
  const answer = await queue(`${repository.repositoryId} ${request.bookmark}`, () =>
    sync(parts, target),
  );
  return {
    outcome: answer.outcome,
    change: await readChangeMessage(sql, repository.repositoryId, answer.versionId, user),
    conflicts: fittingPaths(answer.conflicts),
  };
}

async function sync(parts: Parts, target: Target): Promise<Answer> {
  const { sql } = parts;
  const { request } = target;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const recalled = await recallSync(sql, target);
    if (recalled) return recalled;
    const decision = await decide(sql, target);
    const found = settled(decision);
    if (found) return found;
    const merged = await prepare(parts, target, decision);
    const answer = await transaction(sql, (tx) => write(tx, target, decision, merged));
    if (answer) return answer;
  }
  throw new PogoError("unavailable", `bookmark ${request.bookmark} is moving all the time`, {
    hint: "run the command again",
  });
}

async function recallSync(sql: Sql, target: Target): Promise<Answer | undefined> {
  const { repository, caller, request } = target;
  const { repositoryId } = repository;
  const { requestId } = request;
  const asked = { repositoryId, requestId, caller, kind } as const;
  const done = await recallOperation(sql, asked, ({ details }) => {
    return details["bookmark"] === request.bookmark;
  });
  if (!done) return undefined;
  const { change, version, outcome, conflicts } = done.details;
  const made = await findNamedVersion(sql, repositoryId, String(change), Number(version));
  if (!made) throw new Error(`version ${String(version)} of ${String(change)} is gone`);
  return {
    outcome: Number(outcome) as SyncOutcome,
    versionId: made.versionId,
    conflicts: conflicts as string[],
  };
}

async function decide(sql: Sql, { repository, request }: Target): Promise<Decision> {
  const { repositoryId } = repository;
  const change = await resolveChange(sql, repositoryId, request.revision);
  const bookmark = await findBookmark(sql, repositoryId, request.bookmark);
  const decided = (outcome: SyncOutcome): Decision => ({ outcome, change, bookmark });
  if (!bookmark) return decided(SyncOutcome.SYNC_OUTCOME_CREATED);
  if (bookmark.changeId === change.changeId) return decided(SyncOutcome.SYNC_OUTCOME_IN_SYNC);
  const graph = openVersionGraph(sql, repositoryId);
  const bases = await graph.basesOf(change.versionId, [bookmark.versionId]);
  if (bases.includes(bookmark.versionId)) return decided(SyncOutcome.SYNC_OUTCOME_FAST_FORWARDED);
  if (bases.includes(change.versionId)) return decided(SyncOutcome.SYNC_OUTCOME_BEHIND);
  return decided(SyncOutcome.SYNC_OUTCOME_MERGED);
}

/** The answer, if there is nothing to do. */
function settled({ outcome, change, bookmark }: Decision): Answer | undefined {
  if (outcome === SyncOutcome.SYNC_OUTCOME_IN_SYNC) {
    return { outcome, versionId: change.versionId, conflicts: [] };
  }
  if (outcome !== SyncOutcome.SYNC_OUTCOME_BEHIND || !bookmark) return undefined;
  return { outcome, versionId: bookmark.versionId, conflicts: [] };
}

/** Merges, if that is what it comes to; a bookmark is never moved to a conflict. */
async function prepare(
  parts: Parts,
  { repository }: Target,
  { outcome, change, bookmark }: Decision,
): Promise<Merged | undefined> {
  const { sql } = parts;
  const { tree } = await readVersion(sql, repository.repositoryId, change.versionId);
  if (await isConflicted(sql, repository.repositoryId, tree)) {
    throw new PogoError("conflict", `change ${change.name} holds conflicts`, {
      hint: "see which, and resolve them: pogo resolve --list",
    });
  }
  if (outcome !== SyncOutcome.SYNC_OUTCOME_MERGED || !bookmark) return undefined;
  const trunk = { changeId: bookmark.changeId, versionId: bookmark.versionId };
  const own = { changeId: change.changeId, versionId: change.versionId };
  return await mergeParents(parts, repository, [trunk, own]);
}

async function write(
  tx: Queries,
  { repository, caller, request }: Target,
  decision: Decision,
  merged: Merged | undefined,
): Promise<Answer | undefined> {
  const { repositoryId } = repository;
  const { change, bookmark } = decision;
  const ids = [change.changeId, ...(bookmark ? [bookmark.changeId] : [])];
  await lockChanges(tx, repositoryId, ids, "share");
  const now = await readChanges(tx, repositoryId, ids);
  const isSame = (changeId: number, versionId: number) => {
    const found = now.find((row) => row.changeId === changeId);
    return found?.versionId === versionId && !found.isRemoved;
  };
  if (!isSame(change.changeId, change.versionId)) return undefined;
  if (bookmark && !isSame(bookmark.changeId, bookmark.versionId)) return undefined;
  const locked = await findBookmark(tx, repositoryId, request.bookmark, true);
  if (locked?.changeId !== bookmark?.changeId) return undefined;

  const mutation = openMutation(tx, repositoryId);
  let { outcome } = decision;
  let to: { versionId: number; changeId: number; name: string } = change;
  if (merged) {
    const description =
      request.description || `merge ${change.name.slice(0, 8)} into ${request.bookmark}`;
    const created = { repositoryId, name: request.change, caller, description };
    const version = await insertMerge({ tx, mutation }, merged, created);
    if (!version) {
      throw new PogoError("already-exists", `there is a change named ${request.change} already`);
    }
    to = { ...version, name: request.change };
    if (merged.isConflicted) outcome = SyncOutcome.SYNC_OUTCOME_CONFLICTED;
  }
  if (!bookmark) {
    if (!(await mutation.insertBookmark(request.bookmark, to.changeId))) return undefined;
  } else if (outcome !== SyncOutcome.SYNC_OUTCOME_CONFLICTED) {
    await mutation.moveBookmark(request.bookmark, to.changeId);
  }
  const { versionId, name } = to;
  const { number: version } = await readVersion(tx, repositoryId, versionId);
  const conflicts = merged?.conflicts ?? [];
  const { bookmark: synced, requestId } = request;
  const details = { bookmark: synced, change: name, version, outcome, conflicts };
  await mutation.record({ requestId, caller, kind, details });
  return { outcome, versionId, conflicts };
}
