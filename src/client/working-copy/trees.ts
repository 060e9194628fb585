/** Trees out of a scan whose files have all been hashed, and what becomes of them once pushed. */
import { assert } from "#core/errors.ts";
import { equalHashes, hashKey, type Hash } from "#core/hash.ts";
import { decodeTree, emptyTreeHash, encodeTree, treeHash, type Entry } from "#core/tree.ts";
import { baseTree, type KnownStats } from "../state-directories.ts";
import type { State } from "../state.ts";
import type { Workspace } from "../workspace.ts";
import type { Scan } from "./scan.ts";
import { isSettled } from "./stat.ts";
import type { NodeEntry, ScanNode } from "./place.ts";

type EncodedTree = { hash: Hash; bytes: Uint8Array };

export type BuiltTrees = {
  /** Root tree of the working copy. */
  root: Hash;
  /** The trees that the base has nowhere, children before parents. */
  encoded: EncodedTree[];
};

/** Makes the trees of the scanned working copy, all of whose files have been hashed. */
export function buildTrees({ state }: Workspace, { base, root }: Scan): BuiltTrees {
  const built: BuiltTrees = { root: base, encoded: [] };
  if (root) built.root = buildTree({ state, built, seen: new Set() }, root);
  return built;
}

/** All trees of the working copy, children before parents. */
export function allTrees({ state }: Workspace, { root, encoded }: BuiltTrees): EncodedTree[] {
  const built = new Map(encoded.map(({ hash, bytes }) => [hashKey(hash), bytes]));
  const all = new Map<string, EncodedTree>();
  const add = (hash: Hash) => {
    const bytes = built.get(hashKey(hash)) ?? baseTree(state, hash);
    if (!bytes || all.has(hashKey(hash))) return;
    for (const tree of namedTrees(bytes)) add(tree);
    all.set(hashKey(hash), { hash, bytes });
  };
  add(root);
  return [...all.values()];
}

function namedTrees(bytes: Uint8Array): Hash[] {
  return decodeTree(bytes).flatMap((entry) => (entry.kind === "directory" ? [entry.hash] : []));
}

/** What a scan knows of the files, for when its trees become the base. */
export function knownStats({ state }: Workspace, scan: Scan): Partial<KnownStats> {
  // Somebody moved the base since: what holds of these files is looked up again.
  if (state.generation !== scan.generation) return {};
  const files = new Map(scan.differences.map(({ path, after }) => [path, after]));
  const clock = scan.clock();
  return {
    file(path, entry) {
      const file = files.get(path);
      if (file?.kind !== "file" || entry.kind !== "file" || !clock || !file.hash) return undefined;
      if (!equalHashes(file.hash, entry.hash) || file.executable !== entry.executable) {
        return undefined;
      }
      return isSettled(file.stat, clock) ? file.stat : undefined;
    },
    directory(path) {
      const visited = scan.visited.get(path);
      return visited?.self && { ...visited, self: visited.self };
    },
  };
}

type Building = { state: State; built: BuiltTrees; seen: Set<string> };

function buildTree(building: Building, node: ScanNode): Hash {
  const { state, built, seen } = building;
  const entries = node.entries.map((entry) => toEntry(building, entry));
  if (entries.length === 0) return emptyTreeHash;
  const bytes = encodeTree(entries);
  const hash = treeHash(bytes);
  const key = hashKey(hash);
  if (!seen.has(key) && !baseTree(state, hash)) built.encoded.push({ hash, bytes });
  seen.add(key);
  return hash;
}

function toEntry(building: Building, entry: NodeEntry): Entry {
  if (entry.kind === "node") {
    return { kind: "directory", name: entry.name, hash: buildTree(building, entry.node) };
  }
  if (entry.kind !== "file") return entry;
  const { name, executable, size, hash } = entry;
  assert(hash !== undefined, "every file is hashed before trees are built");
  return { kind: "file", name, executable, size, hash };
}
