/**
 * Three-way merge of snapshots: by hash first, so that what did not change is never opened, then
 * by file, following renames, then by lines. It never fails over a file: what it cannot merge
 * becomes a conflict in the tree.
 */
import { hashKey, sha256, type Hash } from "./hash.ts";
import {
  mergeTextBytesMax,
  virtualDepthMax,
  virtualMergesMax,
  virtualTextBytesMax,
} from "./limits.ts";
import { applyDecisions, type BuiltTree } from "./merge-apply.ts";
import { restoreDirectories } from "./merge-clash.ts";
import { mergeFile, type FileStore } from "./merge-file.ts";
import { followRenames } from "./merge-rename.ts";
import { virtualLeaf } from "./merge-virtual.ts";
import {
  cachedLoader,
  equalLeaves,
  walkVersions,
  type Leaf,
  type LeafEntry,
  type Roots,
  type SideName,
  type Slot,
} from "./merge-walk.ts";
import { symlinkEscapes } from "./path.ts";
import { findEntry, type TreeLoader } from "./tree-diff.ts";
import { compareNames, decodeTree, type Entry } from "./tree.ts";

/** Reads trees and files, and stores merged files; trees are handed back with the result. */
export type MergeStore = FileStore & { loadTrees: TreeLoader };

/** The merged root, the trees in it that are new, and the paths that this merge left open. */
export type MergeResult = { root: Hash; trees: BuiltTree[]; conflicts: string[] };

export type MergeOptions = {
  /** Unless so, names in a directory that differ in case alone are a conflict. */
  caseSensitive?: boolean;
};

/** A history to merge in: what versions hold, and where they come from. */
export type History<Version extends object> = {
  rootOf: (version: Version) => Promise<Hash>;
  /**
   * All best common ancestors of one version and a merge of the others, oldest first. Versions
   * that are bases of each other's must not be listed together.
   */
  basesOf: (one: Version, others: readonly Version[]) => Promise<Version[]>;
};

const noBases: ReadonlyMap<string, Hash> = new Map();

const filesAtOnce = 16;
const bytesAtOnce = mergeTextBytesMax;

/** Merges two snapshots that both began as `base`; undefined is the empty snapshot. */
export async function mergeTrees(
  store: MergeStore,
  base: Hash | undefined,
  ours: Hash | undefined,
  theirs: Hash | undefined,
  { caseSensitive = true }: MergeOptions = {},
): Promise<MergeResult> {
  return await mergeRoots(store, { base, ours, theirs }, { isVirtual: false, caseSensitive });
}

/**
 * Merges two or more versions, one after the other. Several best common ancestors are merged
 * first, to a virtual one, so that what was already decided in criss-cross merges is not asked
 * again.
 */
export async function mergeVersions<Version extends object>(
  store: MergeStore,
  history: History<Version>,
  versions: readonly [Version, ...Version[]],
  { caseSensitive = true }: MergeOptions = {},
): Promise<MergeResult> {
  const overlay = overlayStore(store);
  const [first, ...rest] = versions;
  let root = await history.rootOf(first);
  const merged = [first];
  const conflicts = new Set<string>();
  for (const next of rest) {
    const bases = await history.basesOf(next, merged);
    const base = await virtualRoot(overlay, history, bases, 0);
    const roots = { base, ours: root, theirs: await history.rootOf(next) };
    const stored = { ...overlay, putText: store.putText };
    const result = await mergeRoots(stored, roots, { isVirtual: false, caseSensitive });
    overlay.addTrees(result.trees);
    for (const path of result.conflicts) conflicts.add(path);
    root = result.root;
    merged.push(next);
  }
  const open: string[] = [];
  for (const path of conflicts) {
    // A later side may have agreed with one of the earlier ones.
    const entry = await findEntry(overlay.loadTrees, root, path);
    if (entry?.kind === "conflict") open.push(path);
  }
  const trees = await reachable(overlay, store, root);
  return { root, trees, conflicts: open.sort(compareNames) };
}

/**
 * Collects the trees that a result has of its own. Those of intermediate merges that the last one
 * did without are left out; of virtual bases it has what its conflicts name, and their texts are
 * stored only now.
 */
async function reachable(
  { built, texts }: OverlayStore,
  store: MergeStore,
  root: Hash,
): Promise<BuiltTree[]> {
  const found: BuiltTree[] = [];
  const seen = new Set<string>();
  const visit = async (hash: Hash): Promise<void> => {
    const tree = built.get(hashKey(hash));
    if (!tree || seen.has(hashKey(hash))) return;
    seen.add(hashKey(hash));
    for (const entry of decodeTree(tree.encoded)) {
      const terms = entry.kind === "conflict" ? [...entry.sides, ...entry.bases] : [entry];
      for (const term of terms) {
        if (term?.kind === "directory") await visit(term.hash);
        if (term?.kind !== "file") continue;
        const text = texts.get(hashKey(term.hash));
        if (text && texts.delete(hashKey(term.hash))) await store.putText(text);
      }
    }
    found.push(tree);
  };
  await visit(root);
  return found;
}

async function virtualRoot<Version extends object>(
  store: OverlayStore,
  history: History<Version>,
  bases: readonly Version[],
  depth: number,
): Promise<Hash | undefined> {
  const [first, ...rest] = bases;
  if (first === undefined) return undefined;
  let root = await history.rootOf(first);
  if (depth >= virtualDepthMax) return root;
  const merged = [first];
  for (const next of rest) {
    if (store.virtualMergesLeft-- <= 0) break;
    const below = await history.basesOf(next, merged);
    const base = await virtualRoot(store, history, below, depth + 1);
    const roots = { base, ours: root, theirs: await history.rootOf(next) };
    const result = await mergeRoots(store, roots, { isVirtual: true, caseSensitive: true });
    store.addTrees(result.trees);
    root = result.root;
    merged.push(next);
  }
  return root;
}

async function mergeRoots(
  store: MergeStore,
  roots: Roots,
  { isVirtual, caseSensitive }: { isVirtual: boolean; caseSensitive: boolean },
): Promise<MergeResult> {
  const loadTrees = cachedLoader(store.loadTrees);
  const walk = await walkVersions(loadTrees, roots);
  const hasEntry = async (side: SideName, path: string) => {
    return (await findEntry(loadTrees, roots[side], path)) !== undefined;
  };
  await followRenames({ ...store, loadTrees }, walk, hasEntry);
  const leaves = new Map<string, LeafEntry | undefined>();
  const open = new Set<string>();
  for (const group of groupSlots(walk.slots)) {
    const mergeOne = async ([path, slot]: [string, Slot]): Promise<void> => {
      const merged = stayInside(path, await mergeFile(store, slot));
      const isConflict = merged?.entry.kind === "conflict";
      const leaf = isConflict && isVirtual ? await virtualLeaf(store, slot) : merged;
      leaves.set(path, leaf?.entry);
      const isFound = equalLeaves(merged, slot.ours) || equalLeaves(merged, slot.theirs);
      if (isConflict && !isFound) open.add(path);
    };
    await Promise.all(group.map(mergeOne));
  }
  const decided = { leaves, open };
  // Nobody will see a virtual base: a directory wins over a file of its name.
  const replaced = isVirtual ? noBases : await restoreDirectories(loadTrees, roots, walk, decided);
  const decisions = { taken: walk.taken, ...decided, replaced, isVirtual, caseSensitive };
  return await applyDecisions(loadTrees, roots.ours, decisions);
}

/** Files that are merged at once: their texts are all in memory meanwhile. */
function* groupSlots(slots: Map<string, Slot>): Generator<[string, Slot][]> {
  let group: [string, Slot][] = [];
  let bytes = 0;
  for (const [path, slot] of slots) {
    const entries = [slot.base?.entry, slot.ours?.entry, slot.theirs?.entry];
    const size = entries.reduce((sum, entry) => sum + (entry?.kind === "file" ? entry.size : 0), 0);
    if (group.length === filesAtOnce || (group.length > 0 && bytes + size > bytesAtOnce)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push([path, slot]);
    bytes += size;
  }
  yield group;
}

/** A link that moved could lead out of the repository: it may stay, but not as a link. */
function stayInside(path: string, leaf: Leaf | undefined): Leaf | undefined {
  if (leaf?.entry.kind !== "symlink" || !leaf.from) return leaf;
  const { name, target } = leaf.entry;
  if (!symlinkEscapes(path, target)) return leaf;
  const term = { kind: "symlink", target } as const;
  const bases = [{ ...term, path: leaf.from }];
  return { entry: { kind: "conflict", name, sides: [term, undefined], bases } };
}

type OverlayStore = MergeStore & {
  addTrees: (trees: readonly BuiltTree[]) => void;
  built: ReadonlyMap<string, BuiltTree>;
  texts: Map<string, Uint8Array>;
  virtualMergesLeft: number;
};

/** Keeps what belongs to virtual bases in memory: nobody may ask for it again. */
function overlayStore(store: MergeStore): OverlayStore {
  const built = new Map<string, BuiltTree>();
  const trees = new Map<string, readonly Entry[]>();
  const texts = new Map<string, Uint8Array>();
  let textBytes = 0;
  return {
    built,
    texts,
    virtualMergesLeft: virtualMergesMax,
    addTrees: (added) => {
      for (const tree of added) {
        built.set(hashKey(tree.hash), tree);
        trees.set(hashKey(tree.hash), decodeTree(tree.encoded));
      }
    },
    loadTrees: async (hashes) => {
      const missing = hashes.filter((hash) => !trees.has(hashKey(hash)));
      const loaded = missing.length > 0 ? await store.loadTrees(missing) : new Map();
      return new Map(
        hashes.map((hash) => [
          hashKey(hash),
          trees.get(hashKey(hash)) ?? loaded.get(hashKey(hash)),
        ]),
      );
    },
    loadText: async (entry) => texts.get(hashKey(entry.hash)) ?? (await store.loadText(entry)),
    putText: async (bytes) => {
      textBytes += bytes.length;
      if (textBytes > virtualTextBytesMax) return await store.putText(bytes);
      const hash = sha256(bytes);
      texts.set(hashKey(hash), bytes);
      return { hash, size: bytes.length };
    },
  };
}
