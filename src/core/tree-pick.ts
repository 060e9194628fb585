/** Takes single paths over from one snapshot into another. */
import { equalHashes, type Hash } from "./hash.ts";
import type { BuiltTree } from "./merge-apply.ts";
import { loadEntries, type TreeLoader } from "./tree-diff.ts";
import { emptyTreeHash, encodeTree, treeHash, type Entry } from "./tree.ts";

/**
 * Puts entries at paths of a snapshot, or takes away what stands there. A file takes the place of
 * a directory. `trees` are the ones that are new, children before parents.
 */
export async function putEntries(
  loadTrees: TreeLoader,
  root: Hash,
  entries: ReadonlyMap<string, Entry | undefined>,
): Promise<{ root: Hash; trees: BuiltTree[] }> {
  const trees: BuiltTree[] = [];
  const built = await put({ loadTrees, trees }, root, [...entries]);
  return { root: built ?? emptyTreeHash, trees };
}

type Picking = { loadTrees: TreeLoader; trees: BuiltTree[] };

/**
 * Puts at each of the paths what the other snapshot has there, be it a file, a directory or
 * nothing; "" is all of it. `trees` are the ones that are new, children before parents.
 */
export async function pickPaths(
  loadTrees: TreeLoader,
  root: Hash,
  other: Hash,
  paths: readonly string[],
): Promise<{ root: Hash; trees: BuiltTree[] }> {
  const trees: BuiltTree[] = [];
  const picked = await pick({ loadTrees, trees }, root, other, paths);
  return { root: picked ?? emptyTreeHash, trees };
}

async function pick(
  picking: Picking,
  own: Hash | undefined,
  other: Hash | undefined,
  paths: readonly string[],
): Promise<Hash | undefined> {
  if (paths.includes("")) return other;
  if (own && other && equalHashes(own, other)) return own;
  const [ownEntries = [], otherEntries = []] = await loadEntries(picking.loadTrees, [own, other]);
  const built = new Map(ownEntries.map((entry) => [entry.name, entry]));
  const others = new Map(otherEntries.map((entry) => [entry.name, entry]));
  for (const [name, below] of byFirstName(paths)) {
    const entry = await pickEntry(picking, built.get(name), others.get(name), below);
    if (entry) built.set(name, entry);
    else built.delete(name);
  }
  if (built.size === 0) return undefined;
  const encoded = encodeTree([...built.values()]);
  const hash = treeHash(encoded);
  if (own && equalHashes(hash, own)) return own;
  if (!other || !equalHashes(hash, other)) picking.trees.push({ hash, encoded });
  return hash;
}

async function pickEntry(
  picking: Picking,
  own: Entry | undefined,
  other: Entry | undefined,
  paths: readonly string[],
): Promise<Entry | undefined> {
  if (paths.includes("")) return other;
  const directoryOf = (entry: Entry | undefined) => {
    return entry?.kind === "directory" ? entry.hash : undefined;
  };
  const hash = await pick(picking, directoryOf(own), directoryOf(other), paths);
  const name = (own ?? other)?.name;
  if (hash && name !== undefined) return { kind: "directory", name, hash };
  // Nothing was taken over from below: a file that stands there stays.
  return own?.kind === "directory" ? undefined : own;
}

async function put(
  picking: Picking,
  own: Hash | undefined,
  entries: readonly (readonly [string, Entry | undefined])[],
): Promise<Hash | undefined> {
  const [standing = []] = await loadEntries(picking.loadTrees, [own]);
  const built = new Map(standing.map((entry) => [entry.name, entry]));
  const names = byFirstName(entries.map(([path]) => path));
  const found = new Map(entries);
  for (const [name, below] of names) {
    const old = built.get(name);
    const leaf = found.get(name);
    const deeper = below.filter((path) => path !== "");
    let entry = below.includes("") ? leaf : old;
    if (!leaf && deeper.length > 0) {
      const directory = old?.kind === "directory" ? old.hash : undefined;
      const inside = deeper.map((path) => [path, found.get(`${name}/${path}`)] as const);
      const hash = await put(picking, directory, inside);
      if (hash) entry = { kind: "directory", name, hash };
      else if (directory) entry = undefined;
    }
    if (entry) built.set(name, { ...entry, name });
    else built.delete(name);
  }
  if (built.size === 0) return undefined;
  const encoded = encodeTree([...built.values()]);
  const hash = treeHash(encoded);
  if (!own || !equalHashes(hash, own)) picking.trees.push({ hash, encoded });
  return hash;
}

/** Paths by their first name; what is left of one that ends there is "". */
function byFirstName(paths: readonly string[]): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const path of paths) {
    const slash = path.indexOf("/");
    const name = slash < 0 ? path : path.slice(0, slash);
    const below = names.get(name) ?? [];
    below.push(slash < 0 ? "" : path.slice(slash + 1));
    names.set(name, below);
  }
  return names;
}
