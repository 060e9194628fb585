/**
 * Brings a bookmark and a change together. What it comes to is decided without locks, a merge is
 * made, and then the transaction looks whether all is still so: whoever was faster makes it start
 * over, here and not at the user's. Those who sync one bookmark through one server wait for each
 * other before they merge, so that no merge is made in vain.
 */
import { PogoError } from "#core/errors.ts";
import { equalHashes } from "#core/hash.ts";
import { conflictsToldMax, syncAttemptsMax } from "#core/limits.ts";
import { checkBookmarkName, isChangeName } from "#core/name.ts";
import { compareNames } from "#core/tree.ts";
import {
  SyncOutcome,
  type SyncBookmarkRequest,
  type SyncBookmarkResponse,
} from "#gen/pogo/v1/merge.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import { findBookmark, type BookmarkRow } from "../../db/bookmarks.ts";
import {
  readNamedVersion,
  lockChanges,
  readVersion,
  type ChangeRow,
  type ParentRow,
} from "../../db/changes.ts";
import { transaction, type Queries, type Sql } from "../../db/connect.ts";
import { openMutation, type Mutation } from "../../db/mutation.ts";
import type { RepositoryRow } from "../../db/repositories.ts";
import type { Parts } from "../calls.ts";
import { readChangeMessage } from "../change-message.ts";
import { openVersionGraph } from "./merge-bases.ts";
import { openMergeMemory } from "./merge-memory.ts";
import { insertMerge, mergeParents, type Merged } from "./merge-versions.ts";
import { fittingPaths } from "../paths-answer.ts";
import { planBranch } from "../rewrite/rebase.ts";
import { checkDescription, checkRequestId, recallOperation } from "../requests.ts";
import { resolveChange } from "../revision.ts";
import {
  lockAsPlanned,
  prepareRewriting,
  writeRewriting,
  type PreparedRewriting,
} from "../rewrite/rewrite.ts";
import { diffTrees } from "../tree-walk.ts";

/** Runs tasks of one key one after another. Who has to wait may get ready meanwhile. */
export type BookmarkQueue = <T>(
  key: string,
  task: () => Promise<T>,
  getReady: () => Promise<void>,
) => Promise<T>;

type Target = { repository: RepositoryRow; caller: Caller; request: SyncBookmarkRequest };
type Decision = {
  outcome: SyncOutcome;
  change: ChangeRow;
  bookmark: BookmarkRow | undefined;
};
type Answer = { outcome: SyncOutcome; versionId: number; conflicts: string[]; rebased: number };

/** What both sides come to, if neither is ahead. */
type Joined = {
  merged?: Merged;
  rebased?: PreparedRewriting;
  conflicts: string[];
  isConflicted: boolean;
};

const kind = "sync-bookmark";

/** Makes an empty queue. */
export function bookmarkQueue(): BookmarkQueue {
  const last = new Map<string, Promise<void>>();
  return async (key, task, getReady) => {
    const before = last.get(key);
    // Whatever fails there fails again where it is told.
    if (before) getReady().catch(() => {});
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
  const answer = await queue(
    `${repository.repositoryId} ${request.bookmark}`,
    () => sync(parts, target),
    () => readAhead(sql, target),
  );
  return {
    outcome: answer.outcome,
    change: await readChangeMessage(sql, repository.repositoryId, answer.versionId, user),
    conflicts: fittingPaths(answer.conflicts),
    rebased: answer.rebased,
  };
}

async function sync(parts: Parts, target: Target): Promise<Answer> {
  const { sql } = parts;
  const { request } = target;
  for (let attempt = 1; attempt <= syncAttemptsMax; attempt++) {
    const deciding = decide(sql, target);
    // What was done already is the answer, whatever can be decided now.
    deciding.catch(() => {});
    const recalled = await recallSync(sql, target);
    if (recalled) return recalled;
    const decision = await deciding;
    const found = settled(decision);
    // The same request, sent twice, may have done it just now.
    if (found) return (await recallSync(sql, target)) ?? found;
    const joined = await prepare(parts, target, decision);
    if (request.dryRun) return answerOf(decision, joined, decision.change.versionId);
    const answer = await transaction(sql, (tx) => write(tx, target, decision, joined));
    if (answer) return answer;
  }
  throw new PogoError("unavailable", `bookmark ${request.bookmark} is moving all the time`, {
    hint: "run the command again",
  });
}

/** Reads what a merge will look at, so that it is remembered then. */
async function readAhead(sql: Sql, target: Target): Promise<void> {
  const { change, bookmark } = await decide(sql, target);
  if (!bookmark) return;
  const memory = openMergeMemory(sql, target.repository.repositoryId);
  const [own, trunk] = await Promise.all([
    memory.readVersion(change.versionId),
    memory.readVersion(bookmark.versionId),
  ]);
  await memory.isConflicted(own.tree);
  for await (const _ of diffTrees(memory.readTrees, trunk.tree, own.tree));
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
  const { change, version, outcome, conflicts, rebased } = done.details;
  const made = await readNamedVersion(sql, repositoryId, String(change), Number(version));
  return {
    outcome: Number(outcome) as SyncOutcome,
    versionId: made.versionId,
    conflicts: conflicts as string[],
    rebased: Number(rebased),
  };
}

async function decide(sql: Sql, { repository, request }: Target): Promise<Decision> {
  const { repositoryId } = repository;
  const [change, bookmark] = await Promise.all([
    resolveChange(sql, repositoryId, request.revision),
    findBookmark(sql, repositoryId, request.bookmark),
  ]);
  const decided = (outcome: SyncOutcome): Decision => ({ outcome, change, bookmark });
  if (!bookmark) return decided(SyncOutcome.SYNC_OUTCOME_CREATED);
  if (bookmark.changeId === change.changeId) return decided(SyncOutcome.SYNC_OUTCOME_IN_SYNC);
  const graph = openVersionGraph(sql, repositoryId);
  const bases = await graph.basesOf(change.versionId, [bookmark.versionId]);
  if (bases.includes(bookmark.versionId)) return decided(SyncOutcome.SYNC_OUTCOME_FAST_FORWARDED);
  if (bases.includes(change.versionId)) return decided(SyncOutcome.SYNC_OUTCOME_BEHIND);
  return decided(await decideDescribed(sql, repositoryId, { change, bookmark, bases }));
}

/**
 * A change that stands on another one stays on the version that it was made on when that one is
 * described: this makes it neither older nor younger, and there is nothing to merge.
 */
async function decideDescribed(
  sql: Sql,
  repositoryId: number,
  { change, bookmark, bases }: { change: ChangeRow; bookmark: BookmarkRow; bases: number[] },
): Promise<SyncOutcome> {
  const [only, ...others] = bases;
  if (only === undefined || others.length > 0) return SyncOutcome.SYNC_OUTCOME_MERGED;
  const memory = openMergeMemory(sql, repositoryId);
  const base = await memory.readVersion(only);
  for (const { changeId, versionId } of [bookmark, change]) {
    if (changeId !== base.changeId) continue;
    const now = await memory.readVersion(versionId);
    if (!equalHashes(now.tree, base.tree)) continue;
    return changeId === change.changeId
      ? SyncOutcome.SYNC_OUTCOME_BEHIND
      : SyncOutcome.SYNC_OUTCOME_FAST_FORWARDED;
  }
  return SyncOutcome.SYNC_OUTCOME_MERGED;
}

/** The answer, if there is nothing to do. */
function settled({ outcome, change, bookmark }: Decision): Answer | undefined {
  const none = { conflicts: [], rebased: 0 };
  if (outcome === SyncOutcome.SYNC_OUTCOME_IN_SYNC) {
    return { outcome, versionId: change.versionId, ...none };
  }
  if (outcome !== SyncOutcome.SYNC_OUTCOME_BEHIND || !bookmark) return undefined;
  return { outcome, versionId: bookmark.versionId, ...none };
}

/** Merges or rebases, if that is what it comes to; a bookmark is never moved to a conflict. */
async function prepare(
  parts: Parts,
  { repository, request }: Target,
  { outcome, change, bookmark }: Decision,
): Promise<Joined | undefined> {
  const memory = openMergeMemory(parts.sql, repository.repositoryId);
  const { tree } = await memory.readVersion(change.versionId);
  if (await memory.isConflicted(tree)) {
    throw new PogoError("conflict", `change ${change.name} holds conflicts`, {
      hint: "see which, and resolve them: pogo resolve --list",
    });
  }
  if (outcome !== SyncOutcome.SYNC_OUTCOME_MERGED || !bookmark) return undefined;
  if (request.rebase) return await prepareRebase(parts, repository, change, bookmark);
  const trunk = { changeId: bookmark.changeId, versionId: bookmark.versionId };
  const own = { changeId: change.changeId, versionId: change.versionId };
  const merged = await mergeParents(parts, repository, [trunk, own]);
  const { conflicts, isConflicted: isOpen } = merged;
  return { merged, conflicts, isConflicted: isOpen };
}

async function prepareRebase(
  parts: Parts,
  repository: RepositoryRow,
  change: ChangeRow,
  bookmark: BookmarkRow,
): Promise<Joined> {
  const { sql } = parts;
  const { repositoryId } = repository;
  const { changeId, versionId } = bookmark;
  const rebased = await prepareRewriting(parts, repository, (planner) =>
    planBranch(sql, repositoryId, planner, change.changeId, [{ changeId, versionId }]),
  );
  const own = rebased.versions.find((version) => version.change.changeId === change.changeId);
  if (!own) {
    const message = `bookmark ${bookmark.name} stands on change ${change.name} as it was before`;
    throw new PogoError("conflict", message, { hint: "merge the two: pogo sync" });
  }
  const conflicts: string[] = [];
  const memory = openMergeMemory(sql, repositoryId);
  const trunk = await memory.readVersion(versionId);
  for await (const file of diffTrees(memory.readTrees, trunk.tree, own.tree)) {
    if (file.entry.kind === "conflict" && file.status !== "deleted") conflicts.push(file.path);
  }
  const isOpen = await memory.isConflicted(own.tree);
  return { rebased, conflicts: conflicts.sort(compareNames), isConflicted: isOpen };
}

function answerOf({ outcome }: Decision, joined: Joined | undefined, versionId: number): Answer {
  if (!joined) return { outcome, versionId, conflicts: [], rebased: 0 };
  const { rebased, conflicts, isConflicted: isOpen } = joined;
  const done = rebased ? SyncOutcome.SYNC_OUTCOME_REBASED : outcome;
  return {
    outcome: isOpen ? SyncOutcome.SYNC_OUTCOME_CONFLICTED : done,
    versionId,
    conflicts: conflicts.slice(0, conflictsToldMax),
    rebased: rebased?.versions.length ?? 0,
  };
}

async function write(
  tx: Queries,
  target: Target,
  decision: Decision,
  joined: Joined | undefined,
): Promise<Answer | undefined> {
  const { repository, caller, request } = target;
  const { bookmark } = decision;
  const { repositoryId } = repository;
  // One after the other, without waiting for each.
  const [isLocked, locked] = await Promise.all([
    joined?.rebased
      ? lockAsPlanned(tx, repositoryId, joined.rebased)
      : lockBoth(tx, repositoryId, decision),
    findBookmark(tx, repositoryId, request.bookmark, true),
  ]);
  if (!isLocked) return undefined;
  if (locked?.changeId !== bookmark?.changeId) return undefined;
  if (locked?.versionId !== bookmark?.versionId) return undefined;

  const mutation = openMutation(tx, repositoryId);
  const to = await writeJoined({ tx, mutation }, target, decision, joined);
  const answer = answerOf(decision, joined, to.versionId);
  const { outcome, conflicts, rebased } = answer;
  if (!bookmark) {
    if (!(await mutation.insertBookmark(request.bookmark, to.changeId))) return undefined;
  } else if (outcome !== SyncOutcome.SYNC_OUTCOME_CONFLICTED) {
    await mutation.moveBookmark(request.bookmark, to.changeId);
  }
  const { bookmark: synced, requestId } = request;
  const { name: change, number: version } = to;
  const details = { bookmark: synced, change, version, outcome, conflicts, rebased };
  await mutation.record({ requestId, caller, kind, details });
  return answer;
}

/** Locks the change and the bookmark's; says whether both are as they were. */
async function lockBoth(
  tx: Queries,
  repositoryId: number,
  { change, bookmark }: Decision,
): Promise<boolean> {
  const both = bookmark ? [change, bookmark] : [change];
  const ids = both.map(({ changeId }) => changeId);
  const now = await lockChanges(tx, repositoryId, ids, "share");
  return both.every(({ changeId, versionId }) => {
    const found = now.find((row) => row.changeId === changeId);
    return found?.versionId === versionId && !found.isRemoved;
  });
}

/** Writes the merge, or the rebased changes; says where the bookmark is to point. */
async function writeJoined(
  { tx, mutation }: { tx: Queries; mutation: Mutation },
  { repository, caller, request }: Target,
  { change }: Decision,
  joined: Joined | undefined,
): Promise<ParentRow & { name: string; number: number }> {
  const { repositoryId } = repository;
  if (joined?.rebased) {
    const rewritten = { repository, caller };
    const written = await writeRewriting({ tx, mutation }, rewritten, joined.rebased);
    const version = written.get(change.changeId);
    if (version) return { ...version, name: change.name };
  }
  if (!joined?.merged) {
    const { number } = await readVersion(tx, repositoryId, change.versionId);
    return { ...change, number };
  }
  const description =
    request.description || `merge ${change.name.slice(0, 8)} into ${request.bookmark}`;
  const created = { repositoryId, name: request.change, caller, description };
  const version = await insertMerge({ tx, mutation }, joined.merged, created);
  if (version) return { ...version, name: request.change };
  throw new PogoError("already-exists", `there is a change named ${request.change} already`);
}
