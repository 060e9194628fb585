/**
 * The files of what is planned, one merge after the other. What a merge makes is in memory for
 * the next ones, and stored a few mebibytes at a time: nothing names it yet.
 */
import { equalHashes, hashKey, type Hash } from "#core/hash.ts";
import { mergeTrees, mergeVersions, type MergeResult, type MergeStore } from "#core/merge.ts";
import { decodeTree, emptyTreeHash, type Entry } from "#core/tree.ts";
import { readVersion, type ParentRow } from "../../db/changes.ts";
import type { RepositoryRow } from "../../db/repositories.ts";
import type { Parts } from "../calls.ts";
import { openVersionGraph } from "../merge/merge-bases.ts";
import { openMergeStore } from "../merge/merge-store.ts";
import { checkCollisions } from "../push/put-trees.ts";
import type { Patch, Snapshot } from "./rewrite-plan.ts";
import { storeTrees, type NewTree } from "../push/store-trees.ts";
import { treeReader, type TreeReader } from "../tree-walk.ts";

type KeptTree = { bytes: Uint8Array; entries: readonly Entry[] };

export type Snapshots = {
  /** Root tree of a snapshot. */
  rootOf(snapshot: Snapshot): Promise<Hash>;
  /** Makes edits to a snapshot; where they do not fit is a conflict. */
  apply(patch: Patch, onto: Hash): Promise<Hash>;
  /** Lets a version be known that is not written yet, and what it is made from. */
  plan(versionId: number, version: { tree: Hash; origins: number[] }): void;
  /** Takes in trees that were made elsewhere, children before parents. */
  add(trees: readonly { hash: Hash; encoded: Uint8Array }[]): Promise<void>;
  /** Reads the entries of trees. */
  loadTrees: MergeStore["loadTrees"];
  /** Reads trees as they are encoded. */
  read: TreeReader;
  /** Stores what was made. */
  flush(): Promise<void>;
};

const flushBytes = 8 * 1024 * 1024;
// Entries of trees that are kept for the next merge: neighbours look at the same directories.
const keptEntriesMax = 200_000;

/** Opens the snapshots of a repository for a rewriting. */
export function openSnapshots(parts: Parts, repository: RepositoryRow): Snapshots {
  const { sql } = parts;
  const { repositoryId, caseSensitive } = repository;
  const roots = new Map<number, Hash>();
  const origins = new Map<number, number[]>();
  const merged = new Map<string, Hash>();
  const store = openMergeStore(parts, repositoryId);
  const graph = openVersionGraph(sql, repositoryId, origins);
  const readStored = treeReader(sql, repositoryId);
  let kept = new Map<string, KeptTree>();
  let keptEntries = 0;
  let fresh: NewTree[] = [];
  let freshBytes = 0;

  function keep(hash: Hash, tree: KeptTree): void {
    kept.set(hashKey(hash), tree);
    keptEntries += tree.entries.length + 1;
  }

  function forget(): void {
    if (keptEntries <= keptEntriesMax) return;
    kept = new Map();
    keptEntries = 0;
    // What is not stored yet can be read nowhere else.
    for (const { hash, data: bytes, entries } of fresh) keep(hash, { bytes, entries });
  }

  async function load(hashes: readonly Hash[]): Promise<(KeptTree & { hash: Hash })[]> {
    const missing = hashes.filter((hash) => !kept.has(hashKey(hash)));
    for await (const { hash, bytes } of readStored(missing)) {
      keep(hash, { bytes, entries: decodeTree(bytes) });
    }
    return hashes.map((hash) => ({ hash, ...kept.get(hashKey(hash))! }));
  }

  async function* read(hashes: readonly Hash[]) {
    yield* await load(hashes);
  }

  async function loadTrees(hashes: readonly Hash[]): Promise<Map<string, readonly Entry[]>> {
    return new Map((await load(hashes)).map(({ hash, entries }) => [hashKey(hash), entries]));
  }

  async function add(trees: readonly { hash: Hash; encoded: Uint8Array }[]): Promise<void> {
    for (const { hash, encoded } of trees) {
      const entries = decodeTree(encoded);
      if (!caseSensitive) checkCollisions(repository, entries);
      fresh.push({ hash, data: encoded, entries });
      freshBytes += encoded.length;
      keep(hash, { bytes: encoded, entries });
    }
    if (freshBytes >= flushBytes) await flush();
    forget();
  }

  async function flush(): Promise<void> {
    await store.flush();
    await storeTrees(sql, repositoryId, fresh);
    fresh = [];
    freshBytes = 0;
  }

  async function taken({ root, trees }: MergeResult): Promise<Hash> {
    await add(trees);
    return root;
  }

  async function rootOfVersion({ versionId }: { versionId: number }): Promise<Hash> {
    const known = roots.get(versionId);
    if (known) return known;
    const { tree } = await readVersion(sql, repositoryId, versionId);
    roots.set(versionId, tree);
    return tree;
  }

  async function rootOf(snapshot: Snapshot): Promise<Hash> {
    if (snapshot instanceof Uint8Array) return snapshot;
    const [first, ...rest] = snapshot;
    if (!first) return emptyTreeHash;
    if (rest.length === 0) return await rootOfVersion(first);
    const key = snapshot.map(({ versionId }) => versionId).join();
    const known = merged.get(key);
    if (known) return known;
    const root = await taken(await mergeSeveral(first, rest));
    merged.set(key, root);
    return root;
  }

  async function mergeSeveral(first: ParentRow, rest: ParentRow[]): Promise<MergeResult> {
    // A version is one object throughout.
    const versions = new Map<number, { versionId: number }>();
    const versionOf = (versionId: number) => {
      const version = versions.get(versionId) ?? { versionId };
      versions.set(versionId, version);
      return version;
    };
    type Version = { versionId: number };
    const history = {
      rootOf: rootOfVersion,
      basesOf: async (one: Version, others: readonly Version[]): Promise<Version[]> => {
        const ids = others.map(({ versionId }) => versionId);
        return (await graph.basesOf(one.versionId, ids)).map(versionOf);
      },
    };
    const others = rest.map(({ versionId }) => versionOf(versionId));
    const parents = [versionOf(first.versionId), ...others] as const;
    return await mergeVersions({ ...store, loadTrees }, history, parents, { caseSensitive });
  }

  return {
    rootOf,
    add,
    flush,
    loadTrees,
    read,
    plan: (versionId, version) => {
      roots.set(versionId, version.tree);
      origins.set(versionId, version.origins);
    },
    async apply({ from, to }, onto) {
      const [base, theirs] = [await rootOf(from), await rootOf(to)];
      if (equalHashes(base, onto)) return theirs;
      if (equalHashes(base, theirs) || equalHashes(onto, theirs)) return onto;
      const sources = { ...store, loadTrees };
      return await taken(await mergeTrees(sources, base, onto, theirs, { caseSensitive }));
    },
  };
}
