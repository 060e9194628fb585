/**
 * Directory renames: when a side moved most files of a directory elsewhere and removed it, files
 * that the other side adds to it belong there as well.
 */
import { otherSide, type MergeWalk, type SideName } from "./merge-walk.ts";
import { joinPath, pathProblem } from "./path.ts";
import type { Rename } from "./rename.ts";
import { compareNames } from "./tree.ts";

/** Where a side moved its directories: from old paths to new ones. */
export type DirectoryRenames = Map<string, string>;

export type DirectoryMerge = {
  walk: MergeWalk;
  renames: Record<SideName, Rename[]>;
  moved: Record<SideName, DirectoryRenames>;
  hasEntry: (side: SideName, path: string) => Promise<boolean>;
};

/** Finds where directories went, by most of their files; a tie is no answer. */
export function movedDirectory(
  renames: readonly Rename[],
  kept: ReadonlySet<string>,
): DirectoryRenames {
  const counts = new Map<string, Map<string, number>>();
  for (const { from, to } of renames) countDirectories(counts, kept, from.path, to.path);
  const moved: DirectoryRenames = new Map();
  for (const [directory, targets] of counts) {
    const ranked = [...targets].sort((a, b) => b[1] - a[1]);
    const [best, second] = ranked;
    if (best && best[1] !== second?.[1]) moved.set(directory, best[0]);
  }
  return moved;
}

/** Moves what each side added to directories that the other side moved. */
export async function mergeDirectoryRenames(merge: DirectoryMerge): Promise<void> {
  const { ours, theirs } = merge.moved;
  for (const directory of [...ours.keys()]) {
    // Moved by both: each has decided for its own files.
    if (theirs.has(directory)) {
      ours.delete(directory);
      theirs.delete(directory);
    }
  }
  const plans = [];
  for (const side of ["ours", "theirs"] as const) {
    if (merge.moved[otherSide(side)].size > 0) plans.push({ side, plan: planMoves(merge, side) });
  }
  for (const { side, plan } of plans) await moveAdded(merge, side, plan);
}

/**
 * Counts a file's move for its directory, and for those above it as long as the rest of the path
 * stayed the same: a/b/c/file to x/c/file is a move of a/b/c to x/c, and of a/b to x.
 */
function countDirectories(
  counts: Map<string, Map<string, number>>,
  kept: ReadonlySet<string>,
  from: string,
  to: string,
): void {
  let oldDirectory = parent(from);
  let newDirectory = parent(to);
  for (let isFirst = true; isWithinKept(oldDirectory, kept); isFirst = false) {
    if (isFirst || kept.has(oldDirectory)) {
      const targets = counts.get(oldDirectory) ?? new Map<string, number>();
      counts.set(oldDirectory, targets);
      targets.set(newDirectory, (targets.get(newDirectory) ?? 0) + 1);
    }
    if (oldDirectory === "" || newDirectory === "") return;
    if (lastPart(oldDirectory) !== lastPart(newDirectory)) return;
    oldDirectory = parent(oldDirectory);
    newDirectory = parent(newDirectory);
  }
}

/** For each file that a side added or moved into a moved directory, where it should go. */
function planMoves({ walk, moved }: DirectoryMerge, side: SideName): Map<string, string[]> {
  const elsewhere = moved[otherSide(side)];
  const plan = new Map<string, string[]>();
  for (const [path, slot] of walk.slots) {
    if (slot.base || !slot[side]) continue;
    const target = followDirectory(path, elsewhere, moved[side]);
    if (target === undefined) continue;
    const sources = plan.get(target);
    if (sources) sources.push(path);
    else plan.set(target, [path]);
  }
  return plan;
}

function followDirectory(
  path: string,
  moved: DirectoryRenames,
  own: DirectoryRenames,
): string | undefined {
  for (let directory = parent(path); ; directory = parent(directory)) {
    const target = moved.get(directory);
    if (target === undefined) {
      if (directory === "") return undefined;
      continue;
    }
    // The side moved that directory on: its own move decides, or files would go in circles.
    if (own.has(target)) return undefined;
    const followed = joinPath(target, path.slice(directory === "" ? 0 : directory.length + 1));
    return pathProblem(followed) ? undefined : followed;
  }
}

async function moveAdded(
  { walk, renames, hasEntry }: DirectoryMerge,
  side: SideName,
  plan: Map<string, string[]>,
): Promise<void> {
  const ordered = [...plan].sort((a, b) => compareNames(a[0], b[0]));
  for (const [target, [path, ...more]] of ordered) {
    // Two files for one place, or one that is taken: they stay where they were added.
    if (path === undefined || more.length > 0 || (await hasEntry(side, target))) continue;
    const slot = walk.slots.get(path);
    const leaf = slot?.[side];
    if (!slot || !leaf) continue;
    slot[side] = undefined;
    const next = walk.slots.get(target) ?? {};
    walk.slots.set(target, next);
    const index = renames[side].findIndex(({ to }) => to.path === path);
    const rename = renames[side][index];
    if (rename?.from.path === target) {
      // Both moves together lead back to where the file was: it never moved.
      renames[side].splice(index, 1);
      next[side] = { entry: leaf.entry };
      continue;
    }
    next[side] = { ...leaf, from: leaf.from ?? path };
    if (rename) rename.to = { ...rename.to, path: target };
  }
}

function isWithinKept(directory: string, kept: ReadonlySet<string>): boolean {
  for (let at = directory; at !== ""; at = parent(at)) if (kept.has(at)) return true;
  return kept.has("");
}

function parent(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
