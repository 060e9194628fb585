/** Merges what three versions have at one path: its bit, its kind, its contents. */
import { addConflicts, fromConflict, simplifyConflict, toConflict } from "./conflict.ts";
import type { Conflict, ConflictTerm } from "./conflict.ts";
import { hashKey, type Hash } from "./hash.ts";
import { mergeTextBytesMax } from "./limits.ts";
import { mergeConverted } from "./merge-endings.ts";
import { mergeTexts } from "./merge-text.ts";
import { equalLeaves, type Leaf, type LeafEntry, type Slot } from "./merge-walk.ts";
import type { TextLoader } from "./rename.ts";
import type { FileEntry } from "./tree.ts";

/** Reads files to merge, and stores the merged ones. */
export type FileStore = {
  loadText: TextLoader;
  putText: (bytes: Uint8Array) => Promise<{ hash: Hash; size: number }>;
};

type FileTerm = Extract<ConflictTerm, { kind: "file" }>;

/** Merges one path. What cannot be merged becomes a conflict; nothing makes it fail. */
export async function mergeFile(store: FileStore, slot: Slot): Promise<Leaf | undefined> {
  const { base, ours, theirs } = slot;
  if (slot.isMoved) return movedConflict(slot);
  if (equalLeaves(ours, theirs) || equalLeaves(base, theirs)) return ours;
  if (equalLeaves(base, ours)) return theirs;
  const sum = addConflicts(asConflict(base), asConflict(ours), asConflict(theirs));
  const merged = sum.bases.length === 0 ? undefined : await mergeTerms(store, sum);
  const name = (ours ?? theirs ?? base)!.entry.name;
  const entry = merged ? { ...merged, name } : fromConflict(name, sum);
  return entry && { entry: entry as LeafEntry };
}

function asConflict(leaf: Leaf | undefined): Conflict {
  return toConflict(leaf?.entry, leaf?.from);
}

/** The sides disagree whether the file belongs here: whatever it holds, a person must decide. */
function movedConflict({ base, ours, theirs }: Slot): Leaf | undefined {
  const name = (ours ?? theirs)?.entry.name;
  if (name === undefined) return undefined;
  const sum = simplifyConflict({
    sides: [...here(ours).sides, ...asConflict(base).bases, ...here(theirs).sides],
    bases: [...here(ours).bases, ...asConflict(base).sides, ...here(theirs).bases],
  });
  return { entry: fromConflict(name, sum) as LeafEntry };
}

function here(leaf: Leaf | undefined): Conflict {
  return toConflict(leaf?.entry);
}

/** Merges the sides of a conflict two by two, as long as each step is clean. */
async function mergeTerms(store: FileStore, conflict: Conflict): Promise<FileTerm | undefined> {
  const { sides, bases } = conflict.bases.length > 1 ? ordered(conflict) : conflict;
  let [merged, ...rest] = sides;
  for (const [index, side] of rest.entries()) {
    merged = await mergeTwo(store, bases[index], merged, side);
    if (!merged) return undefined;
  }
  return merged?.kind === "file" ? merged : undefined;
}

/** Whether many sides merge must not depend on which of them came first. */
function ordered({ sides, bases }: Conflict): Conflict {
  const key = (term: ConflictTerm | undefined) => {
    return term?.kind === "file" ? `${hashKey(term.hash)}${term.executable}${term.path}` : "";
  };
  const compare = (a: ConflictTerm | undefined, b: ConflictTerm | undefined) => {
    return key(a) < key(b) ? -1 : 1;
  };
  return { sides: sides.toSorted(compare), bases: bases.toSorted(compare) };
}

async function mergeTwo(
  store: FileStore,
  base: ConflictTerm | undefined,
  ours: ConflictTerm | undefined,
  theirs: ConflictTerm | undefined,
): Promise<FileTerm | undefined> {
  if (ours?.kind !== "file" || theirs?.kind !== "file") return undefined;
  // A link or nothing has no lines: both sides added theirs.
  const old = base?.kind === "file" ? base : undefined;
  let { executable } = ours;
  if (ours.executable !== theirs.executable) {
    if (!old) return undefined;
    executable = !old.executable;
  }
  const contents = await mergeContents(store, old, ours, theirs);
  return contents && { kind: "file", executable, ...contents };
}

async function mergeContents(
  store: FileStore,
  base: FileTerm | undefined,
  ours: FileTerm,
  theirs: FileTerm,
): Promise<{ hash: Hash; size: number } | undefined> {
  const isSame = (a: FileTerm, b: FileTerm) => Buffer.compare(a.hash, b.hash) === 0;
  const keep = ({ hash, size }: FileTerm) => ({ hash, size });
  if (isSame(ours, theirs) || (base && isSame(base, theirs))) return keep(ours);
  if (base && isSame(base, ours)) return keep(theirs);
  const files = [base, ours, theirs];
  if (files.some((file) => file && file.size > mergeTextBytesMax)) return undefined;
  const texts = await Promise.all(
    files.map((file) => (file ? store.loadText(asEntry(file)) : new Uint8Array(0))),
  );
  const [baseText, ourText, theirText] = texts;
  if (!baseText || !ourText || !theirText) return undefined;
  const merged =
    mergeTexts(baseText, ourText, theirText) ?? mergeConverted(baseText, ourText, theirText);
  return merged && (await store.putText(merged));
}

function asEntry({ executable, size, hash }: FileTerm): FileEntry {
  return { kind: "file", name: "", executable, size, hash };
}
