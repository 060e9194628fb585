/**
 * What merges have read of a repository or made in it: trees and versions. None of it ever
 * changes, so that it stays true for the merges to come, which mostly look at the same.
 */
import { LRUCache } from "lru-cache";

import { hashKey, type Hash } from "#core/hash.ts";
import { mergeTreesBytesMax, mergeVersionsMax } from "#core/limits.ts";
import { readVersion, type VersionRow } from "../../db/changes.ts";
import type { Sql } from "../../db/connect.ts";
import { findTrees } from "../../db/trees.ts";
import { treeReader, type TreeReader } from "../tree-walk.ts";

export type MergeMemory = {
  readTrees: TreeReader;
  /** Takes note of trees that are being stored. */
  noteTrees(trees: readonly { hash: Hash; encoded: Uint8Array }[]): void;
  readVersion(versionId: number): Promise<VersionRow>;
  noteVersion(version: VersionRow): void;
  /** Tells whether a snapshot holds a conflict. */
  isConflicted(tree: Hash): Promise<boolean>;
};

type Memory = ReturnType<typeof emptyMemory>;

/** By pool of connections. */
const memories = new WeakMap<Sql, Memory>();

/** Opens what is remembered of a repository. */
export function openMergeMemory(sql: Sql, repositoryId: number): MergeMemory {
  const { trees, versions, conflicts } = memoryOf(sql);
  const keyOf = (hash: Hash) => `${repositoryId} ${hashKey(hash)}`;
  const keyOfVersion = (versionId: number) => `${repositoryId} ${versionId}`;
  const readStored = treeReader(sql, repositoryId);

  async function* readTrees(hashes: readonly Hash[]) {
    // Looked up before the first is yielded: what is known now may be forgotten meanwhile.
    const known = hashes.map((hash) => trees.get(keyOf(hash)));
    const missing = hashes.filter((_, index) => !known[index]);
    const stored = readStored(missing)[Symbol.asyncIterator]();
    for (const [index, hash] of hashes.entries()) {
      let bytes = known[index];
      if (!bytes) {
        const next = await stored.next();
        if (next.done) throw new Error("a tree was left out");
        ({ bytes } = next.value);
        trees.set(keyOf(hash), bytes);
      }
      yield { hash, bytes };
    }
  }

  return {
    readTrees,
    noteTrees(made) {
      for (const { hash, encoded } of made) trees.set(keyOf(hash), encoded);
    },
    async readVersion(versionId) {
      const known = versions.get(keyOfVersion(versionId));
      if (known) return known;
      const version = await readVersion(sql, repositoryId, versionId);
      versions.set(keyOfVersion(versionId), version);
      return version;
    },
    noteVersion: (version) => void versions.set(keyOfVersion(version.versionId), version),
    async isConflicted(tree) {
      const known = conflicts.get(keyOf(tree));
      if (known !== undefined) return known;
      const found = (await findTrees(sql, repositoryId, [tree])).get(hashKey(tree));
      if (found) conflicts.set(keyOf(tree), found.conflicted);
      return found?.conflicted ?? false;
    },
  };
}

function memoryOf(sql: Sql): Memory {
  const memory = memories.get(sql) ?? emptyMemory();
  memories.set(sql, memory);
  return memory;
}

function emptyMemory() {
  return {
    trees: new LRUCache<string, Uint8Array>({
      maxSize: mergeTreesBytesMax,
      maxEntrySize: mergeTreesBytesMax / 16,
      sizeCalculation: (bytes) => bytes.length + 1,
    }),
    versions: new LRUCache<string, VersionRow>({ max: mergeVersionsMax }),
    conflicts: new LRUCache<string, boolean>({ max: mergeVersionsMax }),
  };
}
