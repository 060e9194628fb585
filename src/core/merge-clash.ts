/**
 * Two things that cannot stand in one place are a conflict of both: a file or link and a
 * directory of its name, or names that some file systems cannot tell apart.
 */
import { fromConflict, simplifyConflict, toConflict, type ConflictTerm } from "./conflict.ts";
import type { Hash } from "./hash.ts";
import { otherSide, type LeafEntry, type MergeWalk, type Roots } from "./merge-walk.ts";
import { foldName, joinPath } from "./path.ts";
import { findEntry, type TreeLoader } from "./tree-diff.ts";
import { compareNames, type Entry } from "./tree.ts";

// Names that fold to themselves, which is most names.
const foldedName = /^[a-z0-9_.-]*[a-z0-9_-]$/;

/**
 * Where one side put a file in a directory's place and the other went on in the directory, that
 * one stands as this side has it: what is below it is not decided file by file. Returns what the
 * base has in these places.
 */
export async function restoreDirectories(
  loadTrees: TreeLoader,
  roots: Roots,
  walk: MergeWalk,
  { leaves, open }: { leaves: Map<string, LeafEntry | undefined>; open: Set<string> },
): Promise<Map<string, Hash>> {
  const bases = new Map<string, Hash>();
  for (const side of ["ours", "theirs"] as const) {
    const other = otherSide(side);
    const replaced = [...walk.removed[side]].filter((path) => {
      return walk.slots.get(path)?.[side] && leaves.get(path);
    });
    for (const [path, below] of gatherBelow(replaced, walk, leaves)) {
      const base = await findEntry(loadTrees, roots.base, path);
      const theirs = await findEntry(loadTrees, roots[other], path);
      const isNew = walk.unopened[other].some((directory) => {
        return directory.new && directory.path.startsWith(`${path}/`);
      });
      const isLeft = isNew || below.some((child) => leaves.get(child));
      if (!isLeft || base?.kind !== "directory" || theirs?.kind !== "directory") continue;
      bases.set(path, base.hash);
      for (const child of walk.taken.keys()) {
        if (child.startsWith(`${path}/`)) walk.taken.delete(child);
      }
      walk.taken.set(path, theirs);
      for (const child of below) {
        const slot = walk.slots.get(child);
        const isOnlyGone = slot?.base && !slot.base.from && !slot.isMoved && !slot[side];
        if (!isOnlyGone || !slot[other]) continue;
        leaves.set(child, slot[other].entry);
        open.delete(child);
      }
    }
  }
  return bases;
}

/** The paths of a walk by the directory, one of those given, that they are below. */
function gatherBelow(
  directories: readonly string[],
  { slots }: MergeWalk,
  leaves: ReadonlyMap<string, LeafEntry | undefined>,
): Map<string, string[]> {
  const gathered = new Map<string, string[]>(directories.map((path) => [path, []]));
  if (directories.length === 0) return gathered;
  for (const path of leaves.keys()) {
    if (!slots.has(path)) continue;
    for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
      const below = gathered.get(path.slice(0, slash));
      if (!below) continue;
      below.push(path);
      break;
    }
  }
  return gathered;
}

/** The conflict of a leaf and a directory; `base` is a directory that both began with. */
export function clashEntry(
  name: string,
  leaf: Entry,
  directory: Entry,
  base: Hash | undefined,
  isDirectoryFirst: boolean,
): Entry | undefined {
  const file = toConflict(leaf);
  const tree = toConflict(directory);
  const sides = isDirectoryFirst ? [...tree.sides, ...file.sides] : [...file.sides, ...tree.sides];
  const before: ConflictTerm | undefined = base && { kind: "directory", hash: base };
  return fromConflict(name, simplifyConflict({ sides, bases: [...file.bases, before] }));
}

/**
 * Makes one entry of those in a directory that differ in case alone: a conflict, at the first of
 * their names, of what they were at each. Returns the names that it touched.
 */
export function foldCollisions(directory: string, entries: Map<string, Entry>): string[] {
  const folds = new Map<string, Entry[]>();
  for (const [name, entry] of entries) {
    const fold = foldedName.test(name) ? name : foldName(name);
    const alike = folds.get(fold);
    if (alike) alike.push(entry);
    else folds.set(fold, [entry]);
  }
  const touched: string[] = [];
  for (const alike of folds.values()) {
    if (alike.length < 2) continue;
    for (const { name } of alike) {
      touched.push(name);
      entries.delete(name);
    }
    const folded = foldEntries(directory, alike);
    if (folded) entries.set(folded.name, folded);
  }
  return touched;
}

function foldEntries(directory: string, alike: readonly Entry[]): Entry | undefined {
  const ordered = alike.toSorted((a, b) => compareNames(a.name, b.name));
  const { name } = ordered[0]!;
  const sides: (ConflictTerm | undefined)[] = [];
  const bases: (ConflictTerm | undefined)[] = [];
  for (const [index, entry] of ordered.entries()) {
    const path = index === 0 ? undefined : joinPath(directory, entry.name);
    const own = toConflict(entry);
    // Nothing of it stood at the name that was chosen.
    const place = (term: ConflictTerm | undefined) => term && { ...term, path: term.path ?? path };
    sides.push(...own.sides.map(place));
    bases.push(...own.bases.map(place));
    if (index > 0) bases.push(undefined);
  }
  const sum = simplifyConflict({ sides, bases });
  // A file that both sides moved, to names that are one: each has it gone from the other's.
  for (;;) {
    const gone = sum.sides.indexOf(undefined);
    const twice = sum.bases.findIndex((base, at) => {
      return base && sum.bases.slice(0, at).some((earlier) => isSameFile(base, earlier));
    });
    if (gone < 0 || twice < 0) return fromConflict(name, simplifyConflict(sum));
    sum.sides.splice(gone, 1);
    sum.bases.splice(twice, 1);
  }
}

function isSameFile(a: ConflictTerm, b: ConflictTerm | undefined): boolean {
  if (a.kind !== "file" || b?.kind !== "file" || a.path !== b.path) return false;
  return a.executable === b.executable && Buffer.compare(a.hash, b.hash) === 0;
}
