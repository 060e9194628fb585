/**
 * Walks over a base and two sides together. Where two of the three are equal a directory is not
 * opened: it is taken whole, and looked into later only if files may have moved in or out of it.
 */
import { hashKey, type Hash } from "./hash.ts";
import { joinPath } from "./path.ts";
import { compareDirectories, loadEntries, zipEntries, type TreeLoader } from "./tree-diff.ts";
import {
  compareNames,
  equalEntries,
  type ConflictEntry,
  type Entry,
  type FileEntry,
  type SymlinkEntry,
} from "./tree.ts";

export type SideName = "ours" | "theirs";
export type LeafEntry = FileEntry | SymlinkEntry | ConflictEntry;

/** What one version has at a path, and from which other path it was moved there. */
export type Leaf = { entry: LeafEntry; from?: string | undefined };

/** One path's leaves in the three versions; `isMoved` when the sides disagree where it belongs. */
export type Slot = {
  base?: Leaf | undefined;
  ours?: Leaf | undefined;
  theirs?: Leaf | undefined;
  isMoved?: boolean;
};

/** A directory that one side changed, or both alike, and that was not opened. */
export type Unopened = { path: string; old: Hash | undefined; new: Hash | undefined };

export type MergeWalk = {
  /** Every path that is known not to be the same in all three. */
  slots: Map<string, Slot>;
  /** What only their side changed, whole: directories, or nothing. */
  taken: Map<string, Entry | undefined>;
  unopened: Record<SideName | "both", Unopened[]>;
  /** Directories of the base that were opened, and which side removed them. */
  removed: Record<SideName, Set<string>>;
};

export type Roots = { base: Hash | undefined; ours: Hash | undefined; theirs: Hash | undefined };

/** The other of two sides. */
export function otherSide(side: SideName): SideName {
  return side === "ours" ? "theirs" : "ours";
}

/** Finds where three versions differ. */
export async function walkVersions(loadTrees: TreeLoader, roots: Roots): Promise<MergeWalk> {
  const walk: MergeWalk = {
    slots: new Map(),
    taken: new Map(),
    unopened: { ours: [], theirs: [], both: [] },
    removed: { ours: new Set(), theirs: new Set() },
  };
  const named = (hash: Hash | undefined): Entry | undefined => {
    return hash && { kind: "directory", name: "", hash };
  };
  const below: Node[] = [];
  compareThree(walk, below, "", named(roots.base), named(roots.ours), named(roots.theirs));
  for (let level = below; level.length > 0;) {
    const hashes = level.flatMap(({ base, ours, theirs }) => [base, ours, theirs]);
    const loaded = await loadEntries(loadTrees, hashes);
    const next: Node[] = [];
    level.forEach(({ path }, index) => {
      const [base, ours, theirs] = loaded.slice(index * 3, index * 3 + 3);
      for (const [b, o, t] of zipThree(base!, ours!, theirs!)) {
        compareThree(walk, next, joinPath(path, (b ?? o ?? t)!.name), b, o, t);
      }
    });
    level = next;
  }
  return walk;
}

/** Opens directories that one side changed, or both, so that their files have slots as well. */
export async function openChanged(
  loadTrees: TreeLoader,
  walk: MergeWalk,
  side: SideName | "both",
): Promise<void> {
  const changed = walk.unopened[side].splice(0);
  for (const difference of await compareDirectories(loadTrees, changed)) {
    const base = leafOf(difference.old);
    const next = leafOf(difference.new);
    walk.slots.set(difference.path, {
      base,
      ours: side === "theirs" ? base : next,
      theirs: side === "ours" ? base : next,
    });
  }
}

/** A loader that asks for no tree twice. */
export function cachedLoader(loadTrees: TreeLoader): TreeLoader {
  const held = new Map<string, readonly Entry[]>();
  return async (hashes) => {
    const missing = hashes.filter((hash) => !held.has(hashKey(hash)));
    if (missing.length > 0) {
      for (const [key, entries] of await loadTrees(missing)) held.set(key, entries);
    }
    return held;
  };
}

/** Reads an entry as a leaf; directories are none. */
export function leafOf(entry: Entry | undefined): Leaf | undefined {
  return entry === undefined || entry.kind === "directory" ? undefined : { entry };
}

/** Tells whether two leaves say the same, wherever they were. */
export function equalLeaves(a: Leaf | undefined, b: Leaf | undefined): boolean {
  if (!a || !b) return a === b;
  return equalEntries(a.entry, b.entry);
}

type Node = Roots & { path: string };

function compareThree(
  walk: MergeWalk,
  below: Node[],
  path: string,
  base: Entry | undefined,
  ours: Entry | undefined,
  theirs: Entry | undefined,
): void {
  const isSame = (a: Entry | undefined, b: Entry | undefined) => {
    return a && b ? equalEntries(a, b) : a === b;
  };
  const hashOf = (entry: Entry | undefined) => {
    return entry?.kind === "directory" ? entry.hash : undefined;
  };
  const isOurs = !isSame(base, ours);
  const isTheirs = !isSame(base, theirs);
  if (!isOurs && !isTheirs) return;
  const slot = { base: leafOf(base), ours: leafOf(ours), theirs: leafOf(theirs) };
  if (slot.base || slot.ours || slot.theirs) walk.slots.set(path, slot);
  const hashes = { base: hashOf(base), ours: hashOf(ours), theirs: hashOf(theirs) };
  if (!hashes.base && !hashes.ours && !hashes.theirs) return;
  if (isOurs && isTheirs && !isSame(ours, theirs)) {
    below.push({ path, ...hashes });
    if (hashes.base && !hashes.ours) walk.removed.ours.add(path);
    if (hashes.base && !hashes.theirs) walk.removed.theirs.add(path);
    return;
  }
  const side = isOurs ? (isTheirs ? "both" : "ours") : "theirs";
  const changed = side === "theirs" ? hashes.theirs : hashes.ours;
  walk.unopened[side].push({ path, old: hashes.base, new: changed });
  if (side === "theirs") walk.taken.set(path, theirs);
}

/** Walks three sorted directories together, name by name. */
function* zipThree(
  base: readonly Entry[],
  ours: readonly Entry[],
  theirs: readonly Entry[],
): Generator<[Entry | undefined, Entry | undefined, Entry | undefined]> {
  const sides = zipEntries(ours, theirs);
  let sidesNext = sides.next();
  let at = 0;
  while (at < base.length || !sidesNext.done) {
    const pair = sidesNext.done ? undefined : sidesNext.value;
    const baseEntry = base[at];
    const name = pair && (pair[0] ?? pair[1])!.name;
    let order = 0;
    if (baseEntry === undefined) order = 1;
    else order = name === undefined ? -1 : compareNames(baseEntry.name, name);
    if (order <= 0) at++;
    const [our, their] = order >= 0 ? pair! : [undefined, undefined];
    if (order >= 0) sidesNext = sides.next();
    yield [order <= 0 ? baseEntry : undefined, our, their];
  }
}
