/**
 * Makes the snapshot of a merge. All of it is done before the transaction that gives it a name:
 * contents, then their rows, then trees, as in a push.
 */
import { mergeVersions } from "#core/merge.ts";
import type { Hash } from "#core/hash.ts";
import { conflictsToldMax } from "#core/limits.ts";
import { compareNames, decodeTree, emptyTreeHash } from "#core/tree.ts";
import type { Caller } from "../../auth.ts";
import { insertChange, insertVersion, type ParentRow, type VersionRow } from "../../db/changes.ts";
import type { Queries } from "../../db/connect.ts";
import { insertFiles, type FileChange } from "../../db/files.ts";
import type { Mutation } from "../../db/mutation.ts";
import type { RepositoryRow } from "../../db/repositories.ts";
import type { Parts } from "../calls.ts";
import { openVersionGraph } from "./merge-bases.ts";
import { openMergeMemory } from "./merge-memory.ts";
import { openMergeStore } from "./merge-store.ts";
import { storeTrees } from "../push/store-trees.ts";
import { diffTrees } from "../tree-walk.ts";

/** A merge that has no name yet. */
export type Merged = {
  parents: readonly ParentRow[];
  tree: Hash;
  /** Paths that it left in conflict. */
  conflicts: string[];
  /** It holds a conflict, be it one of its parents'. */
  isConflicted: boolean;
  /** What differs from the first parent. */
  files: FileChange[];
  /** Remembers the version that it became, for the merges to come. */
  remember(version: VersionRow): void;
};

/** Merges the files of versions and stores what is new; nothing names it yet. */
export async function mergeParents(
  parts: Parts,
  repository: RepositoryRow,
  parents: readonly ParentRow[],
): Promise<Merged> {
  const { sql } = parts;
  const { repositoryId } = repository;
  const graph = openVersionGraph(sql, repositoryId);
  const store = openMergeStore(parts, repositoryId);
  const memory = openMergeMemory(sql, repositoryId);
  const versions = new Map<number, { versionId: number }>();
  const versionOf = (versionId: number) => {
    const version = versions.get(versionId) ?? { versionId };
    versions.set(versionId, version);
    return version;
  };
  const rootOf = async ({ versionId }: { versionId: number }): Promise<Hash> => {
    return (await memory.readVersion(versionId)).tree;
  };
  const history = {
    rootOf,
    basesOf: async (
      one: { versionId: number },
      others: readonly { versionId: number }[],
    ): Promise<{ versionId: number }[]> => {
      const ids = others.map(({ versionId }) => versionId);
      return (await graph.basesOf(one.versionId, ids)).map(versionOf);
    },
  };
  const [first, ...rest] = parents.map(({ versionId }) => versionOf(versionId));
  const { caseSensitive } = repository;
  const merging = mergeVersions(store, history, [first!, ...rest], { caseSensitive });
  const { root, trees, conflicts } = await merging;
  await store.flush();
  const fresh = trees.map(({ hash, encoded }) => {
    return { hash, data: encoded, entries: decodeTree(encoded) };
  });
  await storeTrees(sql, repositoryId, fresh, { isFollowed: true });
  memory.noteTrees(trees);
  const old = parents[0] ? await rootOf(parents[0]) : emptyTreeHash;
  const [files, isOpen] = await Promise.all([
    Array.fromAsync(diffTrees(memory.readTrees, old, root)),
    memory.isConflicted(root),
  ]);
  files.sort((a, b) => compareNames(a.path, b.path));
  return {
    parents,
    tree: root,
    conflicts: conflicts.slice(0, conflictsToldMax),
    isConflicted: isOpen,
    files,
    remember(version) {
      memory.noteVersion(version);
      graph.note(
        version.versionId,
        parents.map(({ versionId }) => versionId),
      );
    },
  };
}

/** Makes a merge a change; nothing when its name is taken. */
export async function insertMerge(
  { tx, mutation }: { tx: Queries; mutation: Mutation },
  merged: Merged,
  change: { repositoryId: number; name: string; caller: Caller; description: string },
): Promise<VersionRow | undefined> {
  const { repositoryId, name, caller, description } = change;
  const authorId = caller.userId;
  const changeId = await insertChange(tx, { repositoryId, name, authorId });
  if (changeId === undefined) return undefined;
  const { tree, parents, files } = merged;
  const baseVersionId = parents[0]?.versionId;
  const row = { changeId, tree, description, authorId, parents, baseVersionId };
  const version = await insertVersion(tx, repositoryId, row);
  // One after the other, without waiting for each: a sync holds up all that follow.
  await Promise.all([
    insertFiles(tx, repositoryId, version.versionId, files),
    mutation.moveChange(version),
  ]);
  merged.remember(version);
  return version;
}
