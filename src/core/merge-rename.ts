/**
 * Lets edits follow files that the other side moved. A rename is looked for only where it matters:
 * the file that went was changed by the other side, too, or that side added files to a directory
 * which this side removed.
 */
import { mergeDirectoryRenames, movedDirectory, type DirectoryRenames } from "./merge-directory.ts";
import { mergeFile, type FileStore } from "./merge-file.ts";
import {
  equalLeaves,
  openChanged,
  otherSide,
  type Leaf,
  type MergeWalk,
  type SideName,
  type Slot,
} from "./merge-walk.ts";
import { detectRenames, type Located, type Rename } from "./rename.ts";
import type { TreeLoader } from "./tree-diff.ts";
import { compareNames } from "./tree.ts";

export type RenameStore = FileStore & { loadTrees: TreeLoader };

type SideRenames = Record<SideName, Rename[]>;

const sideNames = ["ours", "theirs"] as const;

/** Finds what the sides moved and rearranges the walk's slots accordingly. */
export async function followRenames(
  store: RenameStore,
  walk: MergeWalk,
  hasEntry: (side: SideName, path: string) => Promise<boolean>,
): Promise<void> {
  // A file that both sides moved is gone from both: what they changed alike may matter.
  await openChanged(store.loadTrees, walk, "both");
  const kept = { ours: directoriesKept(walk, "ours"), theirs: directoriesKept(walk, "theirs") };
  const renames: SideRenames = { ours: [], theirs: [] };
  for (const side of sideNames) renames[side] = await findRenames(store, walk, side, kept[side]);
  if (renames.ours.length === 0 && renames.theirs.length === 0) return;
  const moved: Record<SideName, DirectoryRenames> = {
    ours: movedDirectory(renames.ours, kept.ours),
    theirs: movedDirectory(renames.theirs, kept.theirs),
  };
  await mergeDirectoryRenames({ walk, renames, moved, hasEntry });
  const both = sideNames.flatMap((side) => renames[side].map((rename) => ({ side, rename })));
  both.sort((a, b) => compareNames(a.rename.from.path, b.rename.from.path));
  for (let at = 0; at < both.length; at++) {
    const { side, rename } = both[at]!;
    const next = both[at + 1];
    if (next?.rename.from.path === rename.from.path) {
      await followBoth(store, walk, rename, next.rename);
      at++;
    } else {
      await followOne(store, walk, side, rename);
    }
  }
}

/**
 * Directories that a side removed and the other one added files to: where most of their files
 * went, the added ones should follow.
 */
function directoriesKept({ slots, removed }: MergeWalk, side: SideName): Set<string> {
  const kept = new Set<string>();
  const other = otherSide(side);
  for (const [path, slot] of slots) {
    if (slot.base || slot[side] || !slot[other]) continue;
    const directory = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (removed[side].has(directory)) kept.add(directory);
  }
  return kept;
}

async function findRenames(
  store: RenameStore,
  walk: MergeWalk,
  side: SideName,
  kept: Set<string>,
): Promise<Rename[]> {
  const other = otherSide(side);
  const isRelevant = (path: string): boolean => {
    const slot = walk.slots.get(path);
    if (slot && (!slot[other] || !equalLeaves(slot.base, slot[other]))) return true;
    return kept.size > 0 && isWithin(path, kept);
  };
  const isGone = ({ base, [side]: own }: Slot) => base && base.entry.kind !== "conflict" && !own;
  const isNeeded = [...walk.slots].some(([path, slot]) => isGone(slot) && isRelevant(path));
  if (!isNeeded && kept.size === 0) return [];
  await openChanged(store.loadTrees, walk, side);
  const gone: Located[] = [];
  const come: Located[] = [];
  for (const [path, slot] of walk.slots) {
    const { base, [side]: own } = slot;
    if (base && !own && base.entry.kind !== "conflict") gone.push({ path, entry: base.entry });
    if (own && !base && own.entry.kind !== "conflict") come.push({ path, entry: own.entry });
  }
  if (gone.length === 0 || come.length === 0) return [];
  for (const list of [gone, come]) list.sort((a, b) => compareNames(a.path, b.path));
  return await detectRenames(store.loadText, gone, come, { isRelevant });
}

function isWithin(path: string, directories: Set<string>): boolean {
  for (let slash = path.lastIndexOf("/"); slash > 0; slash = path.lastIndexOf("/", slash - 1)) {
    if (directories.has(path.slice(0, slash))) return true;
  }
  return false;
}

/** Both sides moved one file. */
async function followBoth(
  store: RenameStore,
  { slots }: MergeWalk,
  ours: Rename,
  theirs: Rename,
): Promise<void> {
  const from = ours.from.path;
  const old = slots.get(from);
  const base = moveLeaf(old?.base, from);
  // Something else may have moved to where it was.
  slots.set(from, { ours: old?.ours, theirs: old?.theirs });
  const ourSlot = slots.get(ours.to.path);
  const theirSlot = slots.get(theirs.to.path);
  if (!ourSlot || !theirSlot) return;
  if (ourSlot === theirSlot) {
    ourSlot.base = base;
    return;
  }
  // To two places: which is right only a person can tell, but their edits may well go together.
  const merged = await mergeFile(store, { base, ours: ourSlot.ours, theirs: theirSlot.theirs });
  const isClean = merged && merged.entry.kind !== "conflict";
  Object.assign(ourSlot, { base, isMoved: true, ...(isClean && { ours: merged }) });
  Object.assign(theirSlot, { base, isMoved: true, ...(isClean && { theirs: merged }) });
}

/** One side moved a file that the other edited, deleted, or left alone. */
async function followOne(
  store: RenameStore,
  { slots }: MergeWalk,
  side: SideName,
  rename: Rename,
): Promise<void> {
  const other = otherSide(side);
  const from = rename.from.path;
  const old = slots.get(from);
  const next = slots.get(rename.to.path);
  if (!old?.base || !next?.[side]) return;
  const base = moveLeaf(old.base, from);
  const edited = moveLeaf(old[other], from);
  const isCollision = next[other] !== undefined;
  if (edited && edited.entry.kind !== next[side].entry.kind) {
    // What stands there now is another kind of thing: it stays, and the file has moved.
    old.base = undefined;
    return;
  }
  slots.set(from, { [side]: old[side] });
  if (!isCollision) {
    next.base = base;
    next[other] = edited;
    // Moved here, deleted there.
    if (!edited) next.isMoved = true;
  } else if (edited) {
    // Both sides have a file here: the edit joins the one that moved before the two are merged.
    const sides = { [side]: next[side], [other]: edited };
    const merged = await mergeFile(store, { base, ...sides });
    next[side] = merged && { entry: merged.entry };
  } else {
    next.isMoved = true;
  }
}

function moveLeaf(leaf: Leaf | undefined, from: string): Leaf | undefined {
  return leaf && { ...leaf, from: leaf.from ?? from };
}
