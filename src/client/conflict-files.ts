/** Makes the files by which one conflict stands in a working copy: see conflict-records.ts. */
import { hasMarkers, markConflict, type MarkedText } from "#core/conflict-markers.ts";
import { markSides } from "#core/conflict-sides.ts";
import type { ConflictTerm } from "#core/conflict.ts";
import { PogoError } from "#core/errors.ts";
import { hashKey, sha256, type Hash } from "#core/hash.ts";
import { markedSidesMax, markedTextBytesMax, nameBytesMax, objectBytesMax } from "#core/limits.ts";
import { encodeObject } from "#core/object.ts";
import { baseName, foldName, joinPath, parentPath, symlinkEscapes } from "#core/path.ts";
import { readPlaceholder } from "#core/placeholder.ts";
import type { ConflictEntry, Entry, FileEntry, SymlinkEntry } from "#core/tree.ts";
import { readWholeContents } from "./contents.ts";
import type { Remote } from "./remote.ts";
import type { ConflictRecord, RenderedConflicts } from "./working-copy/conflict-records.ts";

export type Rendering = {
  remote: Remote;
  trees: (hash: Hash) => Promise<Entry[]>;
  objects: RenderedConflicts["objects"];
};

/** What sides are called: short, and with what they did. */
export type Labels = { names: string[]; titles: string[] };

type FileTerm = Extract<ConflictTerm, { kind: "file" }>;
type WrittenFile = ConflictRecord["files"][number];

/** Labels of sides that nothing is known of. */
export function numberedLabels(sides: ConflictEntry["sides"]): Labels {
  const names = sides.map((_, index) => `side-${index + 1}`);
  return { names, titles: names.map((name) => name.replace("-", " ")) };
}

/** Renders a conflict; `taken` are the names in its directory, folded, and gets its own. */
export async function renderConflict(
  rendering: Rendering,
  path: string,
  entry: ConflictEntry,
  labels: Labels,
  taken: Set<string>,
): Promise<ConflictRecord> {
  const { names, titles } = labels;
  const marked = await markTexts(rendering, entry, titles);
  if (marked) {
    const isExecutable = entry.sides[0]?.kind === "file" && entry.sides[0].executable;
    const file = addObject(rendering, baseName(path), marked.bytes, isExecutable);
    const { markerLength } = marked;
    return { path, entry, names, standIns: [], files: [{ path, entry: file }], markerLength };
  }
  const files: WrittenFile[] = [];
  const standIns: string[] = [];
  for (const [index, side] of entry.sides.entries()) {
    if (!side) continue;
    const standIn = standInPath(path, names[index]!, taken);
    standIns.push(standIn);
    if (side.kind === "directory") {
      files.push(...(await renderDirectory(rendering, standIn, side.hash)).files);
    } else {
      const { path: _, ...leaf } = side;
      files.push(renderLeaf(rendering, standIn, { ...leaf, name: "" }));
    }
  }
  return { path, entry, names, files, standIns };
}

/** Renders a directory that is a side: the conflicts below it are told apart as well. */
export async function renderDirectory(
  rendering: Rendering,
  path: string,
  tree: Hash,
): Promise<{ files: WrittenFile[]; records: ConflictRecord[] }> {
  const entries = await rendering.trees(tree);
  const taken = foldedNames(entries);
  const files: WrittenFile[] = [];
  const records: ConflictRecord[] = [];
  for (const entry of entries) {
    const child = joinPath(path, entry.name);
    if (entry.kind === "directory") {
      const below = await renderDirectory(rendering, child, entry.hash);
      files.push(...below.files);
      records.push(...below.records);
    } else if (entry.kind === "conflict") {
      const labels = numberedLabels(entry.sides);
      const record = await renderConflict(rendering, child, entry, labels, taken);
      files.push(...record.files);
      records.push(record);
    } else {
      files.push(renderLeaf(rendering, child, entry));
    }
  }
  return { files, records };
}

/** Names as file systems compare them that do not tell case. */
export function foldedNames(entries: readonly Entry[]): Set<string> {
  return new Set(entries.map(({ name }) => foldName(name)));
}

function renderLeaf(
  rendering: Rendering,
  path: string,
  entry: FileEntry | SymlinkEntry,
): WrittenFile {
  const name = baseName(path);
  if (entry.kind === "file" || !symlinkEscapes(path, entry.target)) {
    return { path, entry: { ...entry, name } };
  }
  // It must not be followed: the text says where it led.
  return { path, entry: addObject(rendering, name, Buffer.from(entry.target), false) };
}

/** A name next to the conflict's that nothing has, short enough for every file system. */
function standInPath(path: string, side: string, taken: Set<string>): string {
  for (let count = 1; count < 1000; count++) {
    const suffix = `.~${side}${count === 1 ? "" : `.${count}`}~`;
    const name = shortenName(baseName(path), nameBytesMax - Buffer.byteLength(suffix)) + suffix;
    const fold = foldName(name);
    if (taken.has(fold)) continue;
    taken.add(fold);
    return joinPath(parentPath(path), name);
  }
  throw new PogoError("usage", `no name next to ${JSON.stringify(path)} is free for its sides`);
}

/** A name cut off, between two letters, so that it has no more bytes. */
export function shortenName(name: string, bytesMax: number): string {
  if (Buffer.byteLength(name) <= bytesMax) return name;
  let shortened = "";
  let bytes = 0;
  for (const letter of name) {
    bytes += Buffer.byteLength(letter);
    if (bytes > bytesMax) break;
    shortened += letter;
  }
  return shortened;
}

/** All sides in one text, if they are texts. */
async function markTexts(
  { remote }: Rendering,
  { sides, bases }: ConflictEntry,
  titles: readonly string[],
): Promise<MarkedText | undefined> {
  const isFile = (term: ConflictTerm | undefined): term is FileTerm => term?.kind === "file";
  if (!sides.every(isFile) || sides.length > markedSidesMax) return undefined;
  const wanted = [...sides, ...bases.filter(isFile)];
  if (wanted.some(({ size }) => size > markedTextBytesMax)) return undefined;
  const contents = await readWholeContents(remote, wanted, markedTextBytesMax);
  // A text that stands for what is gone is no text to merge.
  if (sides.some(({ hash }) => readPlaceholder(contents(hash)!))) return undefined;
  const textOf = (term: ConflictTerm | undefined) => {
    return isFile(term) ? contents(term.hash)! : new Uint8Array(0);
  };
  const marked = markTerms(sides.map(textOf), bases.map(textOf), titles);
  if (!marked || marked.bytes.length > objectBytesMax) return undefined;
  // Only their modes, or where they belong, may be in conflict.
  return hasMarkers(marked.bytes, marked.markerLength) ? marked : undefined;
}

/** Writes the texts of sides and bases as one, with markers. */
export function markTerms(
  sides: readonly Uint8Array[],
  bases: readonly Uint8Array[],
  titles: readonly string[],
): MarkedText | undefined {
  const [ours, theirs, ...more] = sides;
  const [base] = bases;
  if (!ours || !theirs || !base) return undefined;
  if (more.length === 0) {
    const labels = { ours: titles[0]!, theirs: titles[1]!, base: "before both" };
    return markConflict({ ours, theirs, base }, labels);
  }
  return markSides(
    sides.map((bytes, index) => ({ label: titles[index]!, bytes })),
    bases.map((bytes, index) => ({ label: `base ${index + 1}`, bytes })),
  );
}

function addObject(
  { objects }: Rendering,
  name: string,
  bytes: Uint8Array,
  executable: boolean,
): FileEntry {
  const hash = sha256(bytes);
  objects.set(hashKey(hash), { hash, bytes: encodeObject(bytes) });
  return { kind: "file", name, executable, size: bytes.length, hash };
}
