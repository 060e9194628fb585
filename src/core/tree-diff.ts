import { hashKey, type Hash } from "./hash.ts";
import { joinPath } from "./path.ts";
import { compareNames, emptyTreeHash, equalEntries, type Entry } from "./tree.ts";

/** Loads trees by their hashes; the map's keys are `hashKey`s. It is asked once for many. */
export type TreeLoader = (hashes: readonly Hash[]) => Promise<Map<string, readonly Entry[]>>;

/** One path that is not the same in two trees. Neither entry is ever a directory. */
export type TreeDifference = { path: string; old?: Entry | undefined; new?: Entry | undefined };

/** Reads the entries of several trees at once; the empty tree and no tree need no loading. */
export async function loadEntries(
  loadTrees: TreeLoader,
  hashes: readonly (Hash | undefined)[],
): Promise<(readonly Entry[])[]> {
  const wanted = new Map<string, Hash>();
  const emptyKey = hashKey(emptyTreeHash);
  const keys = hashes.map((hash) => (hash ? hashKey(hash) : emptyKey));
  hashes.forEach((hash, index) => {
    if (hash && keys[index] !== emptyKey) wanted.set(keys[index]!, hash);
  });
  const loaded = wanted.size > 0 ? await loadTrees([...wanted.values()]) : new Map();
  return keys.map((key) => {
    if (key === emptyKey) return [];
    const entries = loaded.get(key);
    if (!entries) throw new Error("a tree was asked for and not loaded");
    return entries;
  });
}

/** Finds what stands at a path below a root. */
export async function findEntry(
  loadTrees: TreeLoader,
  root: Hash | undefined,
  path: string,
): Promise<Entry | undefined> {
  let hash = root;
  let found: Entry | undefined;
  for (const name of path.split("/")) {
    if (!hash) return undefined;
    const [entries = []] = await loadEntries(loadTrees, [hash]);
    found = entries.find((entry) => entry.name === name);
    hash = found?.kind === "directory" ? found.hash : undefined;
  }
  return found;
}

/**
 * Finds the paths that differ between two trees, in path order, whether both roots are given or
 * one. Trees that are equal are never opened; those to open are loaded level by level.
 */
export async function* diffTrees(
  loadTrees: TreeLoader,
  oldRoot: Hash | undefined,
  newRoot: Hash | undefined,
): AsyncGenerator<TreeDifference> {
  if (oldRoot && newRoot && hashKey(oldRoot) === hashKey(newRoot)) return;
  yield* await compareDirectories(loadTrees, [{ path: "", old: oldRoot, new: newRoot }]);
}

/** Finds the paths that differ in several directories at once, for each in path order. */
export async function compareDirectories(
  loadTrees: TreeLoader,
  directories: readonly { path: string; old: Hash | undefined; new: Hash | undefined }[],
): Promise<TreeDifference[]> {
  const roots = directories.map(({ path, old, new: next }): Pair => {
    return { path, oldHash: old, newHash: next, items: [] };
  });
  for (let level = roots; level.length > 0;) {
    const hashes = level.flatMap(({ oldHash, newHash }) => [oldHash, newHash]);
    const loaded = await loadEntries(loadTrees, hashes);
    level = level.flatMap((pair, index) => {
      return compareDirectory(pair, loaded[index * 2]!, loaded[index * 2 + 1]!);
    });
  }
  return roots.flatMap((root) => [...walk(root)]);
}

/** A directory that differs, and, once it is loaded, what differs in it. */
type Pair = {
  path: string;
  oldHash: Hash | undefined;
  newHash: Hash | undefined;
  items: { key: string; item: TreeDifference | Pair }[];
};

function compareDirectory(
  pair: Pair,
  oldEntries: readonly Entry[],
  newEntries: readonly Entry[],
): Pair[] {
  const below: Pair[] = [];
  for (const [old, next] of zipEntries(oldEntries, newEntries)) {
    if (old && next && equalEntries(old, next)) continue;
    const name = (old ?? next)!.name;
    const path = joinPath(pair.path, name);
    const oldHash = old?.kind === "directory" ? old.hash : undefined;
    const newHash = next?.kind === "directory" ? next.hash : undefined;
    const oldLeaf = oldHash ? undefined : old;
    const newLeaf = newHash ? undefined : next;
    if (oldLeaf || newLeaf) {
      pair.items.push({ key: name, item: { path, old: oldLeaf, new: newLeaf } });
    }
    if (oldHash || newHash) {
      const child: Pair = { path, oldHash, newHash, items: [] };
      // The slash that follows a directory's name in a path counts when paths are compared.
      pair.items.push({ key: `${name}/`, item: child });
      below.push(child);
    }
  }
  pair.items.sort((a, b) => compareNames(a.key, b.key));
  return below;
}

/** Walks two sorted directories together, name by name. */
export function* zipEntries(
  a: readonly Entry[],
  b: readonly Entry[],
): Generator<[Entry | undefined, Entry | undefined]> {
  let atA = 0;
  let atB = 0;
  while (atA < a.length || atB < b.length) {
    const entryA = a[atA];
    const entryB = b[atB];
    const order = entryA && entryB ? compareNames(entryA.name, entryB.name) : entryA ? -1 : 1;
    if (order <= 0) atA++;
    if (order >= 0) atB++;
    yield [order <= 0 ? entryA : undefined, order >= 0 ? entryB : undefined];
  }
}

function* walk(pair: Pair): Generator<TreeDifference> {
  for (const { item } of pair.items) {
    if ("items" in item) yield* walk(item);
    else yield item;
  }
}
