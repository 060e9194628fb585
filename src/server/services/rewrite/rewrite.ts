/**
 * Rewrites history. All merging is done before the transaction that writes the versions; that one
 * looks whether everything is still as it was when the plan was made, and if somebody was faster
 * a new plan is made.
 */
import { PogoError } from "#core/errors.ts";
import { equalHashes, type Hash } from "#core/hash.ts";
import { rewriteAttemptsMax } from "#core/limits.ts";
import { compareNames, emptyTreeHash } from "#core/tree.ts";
import type { Effects, Json } from "#core/operation.ts";
import type { Caller } from "../../auth.ts";
import { bookmarksOf } from "../../db/bookmarks.ts";
import {
  insertChange,
  insertVersion,
  lockChanges,
  type ParentRow,
  type VersionRow,
} from "../../db/changes.ts";
import { transaction, type Queries, type Sql } from "../../db/connect.ts";
import { readCurrent, readDescendants } from "../../db/descendants.ts";
import { insertFiles, type FileChange } from "../../db/files.ts";
import { openMutation, type Mutation } from "../../db/mutation.ts";
import type { OperationKind } from "../../db/operations.ts";
import type { RepositoryRow } from "../../db/repositories.ts";
import type { Parts } from "../calls.ts";
import { recallOperation } from "../requests.ts";
import {
  openPlan,
  rowOf,
  type PlannedChange,
  type Planner,
  type RewritePlan,
} from "./rewrite-plan.ts";
import { openSnapshots, type Snapshots } from "./rewrite-snapshots.ts";
import { diffTrees, treeReader } from "../tree-walk.ts";

/** A request that rewrites: who asks, where, and what in the words of the request. */
export type RewriteRequest = {
  repository: RepositoryRow;
  caller: Caller;
  requestId: Uint8Array;
  kind: OperationKind;
  asked: Json;
};

/** Says what is to become of changes. */
export type Draw = (planner: Planner, snapshots: Snapshots) => Promise<void>;

/** All that is to be written. */
export type PreparedRewriting = RewritePlan & { versions: PreparedVersion[] };

type PreparedVersion = {
  change: PlannedChange;
  parents: readonly ParentRow[];
  tree: Hash;
  base: BaseVersion | undefined;
  /** What it touches against its base; nothing when that is too much to keep. */
  files: FileChange[] | undefined;
};

type BaseVersion = { versionId: number; tree: Hash };

// Differences of more paths are walked again while they are written.
const keptFilesMax = 200_000;

/** Does what a request asks, or says what it did when it was sent before. */
export async function rewriteHistory(
  parts: Parts,
  request: RewriteRequest,
  draw: Draw,
): Promise<Effects> {
  const { sql } = parts;
  const { repository, caller, requestId, kind, asked } = request;
  const { repositoryId } = repository;
  for (let attempt = 1; attempt <= rewriteAttemptsMax; attempt++) {
    const recalled = await recallRewriting(sql, request);
    if (recalled) return recalled;
    const prepared = await prepareRewriting(parts, repository, draw);
    // The same request, sent twice, may have done it just now.
    const isDone = isNothing(prepared);
    if (isDone) return (await recallRewriting(sql, request)) ?? { changes: [], bookmarks: [] };
    const isWritten = await transaction(sql, async (tx) => {
      if (!(await lockAsPlanned(tx, repositoryId, prepared))) return false;
      const mutation = openMutation(tx, repositoryId);
      await writeRewriting({ tx, mutation }, request, prepared);
      await mutation.record({ requestId, caller, kind, details: { asked } });
      return true;
    });
    if (isWritten) return (await recallRewriting(sql, request))!;
  }
  throw new PogoError("conflict", "the changes are being rewritten or built on all the time", {
    hint: "run the command again",
  });
}

async function recallRewriting(sql: Sql, request: RewriteRequest): Promise<Effects | undefined> {
  const { repository, caller, requestId, kind, asked } = request;
  const { repositoryId } = repository;
  const wanted = { repositoryId, requestId, caller, kind };
  const done = await recallOperation(sql, wanted, ({ details }) => {
    return Bun.deepEquals(details["asked"], asked);
  });
  return done?.effects;
}

/** Tells whether everything is as it would become. */
function isNothing({ versions, hidden, bookmarks }: PreparedRewriting): boolean {
  return versions.length === 0 && hidden.length === 0 && bookmarks.length === 0;
}

/** Plans, and makes and stores the files of all versions; nothing names them yet. */
export async function prepareRewriting(
  parts: Parts,
  repository: RepositoryRow,
  draw: Draw,
): Promise<PreparedRewriting> {
  const { sql } = parts;
  const { repositoryId } = repository;
  const planner = openPlan(sql, repositoryId);
  const snapshots = openSnapshots(parts, repository);
  await draw(planner, snapshots);
  const plan = await planner.complete();
  const versions = await makeVersions(plan, snapshots);
  await snapshots.flush();
  return { ...plan, versions };
}

/** The versions that differ from what is there. */
async function makeVersions(plan: RewritePlan, snapshots: Snapshots): Promise<PreparedVersion[]> {
  const versions: PreparedVersion[] = [];
  const written = new Map<number, ParentRow>();
  let keptFiles = 0;
  for (const change of plan.changes) {
    const { current, changeId, versionId, description } = change;
    const parents = change.parents.map((parent) => written.get(parent.changeId) ?? parent);
    const isOnSame = current !== undefined && areSame(current.parents, parents);
    let tree = await snapshots.rootOf(parents);
    for (const patch of change.patches) tree = await snapshots.apply(patch, tree);
    const isSame = isOnSame && equalHashes(tree, current.tree);
    if (isSame && description === current.description) continue;
    const [first] = parents;
    const base = isOnSame
      ? { versionId: current.versionId, tree: current.tree }
      : first && { versionId: first.versionId, tree: await snapshots.rootOf([first]) };
    const origins = parents.map((parent) => parent.versionId);
    if (base) origins.push(base.versionId);
    snapshots.plan(versionId, { tree, origins });
    written.set(changeId, { changeId, versionId });
    const version = { change, parents, tree, base };
    // Walked now, what it looks at is still in memory.
    const files = keptFiles > keptFilesMax ? undefined : await walkDifference(snapshots, version);
    keptFiles += files?.length ?? 0;
    versions.push({ ...version, files });
  }
  return versions;
}

function areSame(some: readonly ParentRow[], others: readonly ParentRow[]): boolean {
  if (some.length !== others.length) return false;
  return some.every(({ versionId }, index) => versionId === others[index]?.versionId);
}

async function walkDifference(
  { read }: Snapshots,
  { base, tree }: Pick<PreparedVersion, "base" | "tree">,
): Promise<FileChange[]> {
  const files = await Array.fromAsync(diffTrees(read, base?.tree ?? emptyTreeHash, tree));
  // In the order of the index they go into.
  return files.sort((a, b) => compareNames(a.path, b.path));
}

/**
 * Writes what was prepared, once it is locked and known to be as it was. Says where the changes
 * are now, by their ids in the plan.
 */
export async function writeRewriting(
  { tx, mutation }: { tx: Queries; mutation: Mutation },
  { repository, caller }: Pick<RewriteRequest, "repository" | "caller">,
  { versions, hidden, bookmarks }: PreparedRewriting,
): Promise<ReadonlyMap<number, VersionRow>> {
  const { repositoryId } = repository;
  const authorId = caller.userId;
  const written = new Map<number, VersionRow>();
  const real = ({ changeId, versionId }: ParentRow) => {
    const version = written.get(changeId);
    return version ? rowOf(version) : { changeId, versionId };
  };
  for (const { changeId } of hidden) await mutation.hideChange(changeId);
  for (const { change, parents, tree, base, files } of versions) {
    const { name, description } = change;
    const changeId = change.current
      ? change.changeId
      : await insertNamed(tx, { repositoryId, name, authorId });
    const rows = parents.map(real);
    const isOnParent = base?.versionId === parents[0]?.versionId;
    const baseVersionId = isOnParent ? rows[0]?.versionId : base?.versionId;
    const row = { changeId, tree, description, authorId, parents: rows, baseVersionId };
    const version = await insertVersion(tx, repositoryId, row);
    written.set(change.changeId, version);
    const difference =
      files ?? diffTrees(treeReader(tx, repositoryId), base?.tree ?? emptyTreeHash, tree);
    await insertFiles(tx, repositoryId, version.versionId, difference);
    // It may be nearer to the root now; its descendants stay younger than it.
    await mutation.moveChange(version);
  }
  for (const { from, to } of bookmarks) {
    for (const bookmark of await bookmarksOf(tx, repositoryId, from)) {
      if (to === undefined) await mutation.deleteBookmark(bookmark);
      else await mutation.moveBookmark(bookmark, written.get(to)?.changeId ?? to);
    }
  }
  return written;
}

async function insertNamed(
  tx: Queries,
  change: { repositoryId: number; name: string; authorId: number },
): Promise<number> {
  const changeId = await insertChange(tx, change);
  if (changeId !== undefined) return changeId;
  throw new PogoError("already-exists", `there is a change named ${change.name} already`);
}

/** Locks all that is involved; says whether it is as it was when the plan was made. */
export async function lockAsPlanned(
  tx: Queries,
  repositoryId: number,
  { changes, versions, hidden, bookmarks, starts, found }: PreparedRewriting,
): Promise<boolean> {
  const known = new Map<number, number>();
  for (const { changeId, versionId } of hidden) known.set(changeId, versionId);
  for (const { current } of changes) if (current) known.set(current.changeId, current.versionId);
  const beside = versions.flatMap(({ change: { current }, parents }) => {
    const before = new Set(current?.parents.map(({ changeId }) => changeId));
    return parents.map(({ changeId }) => changeId).filter((changeId) => !before.has(changeId));
  });
  for (const { to } of bookmarks) if (to !== undefined) beside.push(to);
  const ids = [...new Set([...known.keys(), ...beside])].filter((changeId) => changeId > 0);
  await lockChanges(tx, repositoryId, ids, "update");
  for (const { changeId, versionId, isRemoved } of await readCurrent(tx, repositoryId, ids)) {
    if (isRemoved || (known.get(changeId) ?? versionId) !== versionId) return false;
  }
  const now = await readDescendants(tx, repositoryId, starts, found.length + 1);
  return now.sort((a, b) => a - b).join() === found.join();
}
