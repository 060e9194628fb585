/**
 * Finds renames among files that went and files that came: first those with the same contents,
 * then, by name and by similarity, those whose contents were edited as well.
 */
import { hashKey } from "./hash.ts";
import { renameReadBytesMax, renameStepsMax, renamedFileBytesMax } from "./limits.ts";
import { baseName, joinPath, parentPath } from "./path.ts";
import { piecesSimilarity, cutPieces, type Pieces } from "./rename-similarity.ts";
import type { FileEntry, SymlinkEntry } from "./tree.ts";

/** A file at a path, as it went or came. */
export type Located = { path: string; entry: FileEntry | SymlinkEntry };

/** A file that moved; similarity is 1 when its contents did not change. */
export type Rename = { from: Located; to: Located; similarity: number };

/** Reads a whole file, or nothing when it cannot or should not be read. */
export type TextLoader = (entry: FileEntry) => Promise<Uint8Array | undefined>;

export type RenameOptions = {
  /** Sources worth comparing by contents; the others count only when nothing changed. */
  isRelevant?: (path: string) => boolean;
  similarityMin?: number;
};

const similarityMinDefault = 0.5;

// Two files of one name, which no other file shares, need only half of what is missing to 1 more.
const sameNameStricter = 0.5;

const loadsAtOnce = 16;
const candidatesPerTarget = 4;

/** Pairs files that went with files that came, each at most once. */
export async function detectRenames(
  loadText: TextLoader,
  gone: readonly Located[],
  come: readonly Located[],
  { isRelevant = () => true, similarityMin = similarityMinDefault }: RenameOptions = {},
): Promise<Rename[]> {
  const search: Search = {
    sources: new Set(gone.filter(isWorthMoving)),
    targets: new Set(come.filter(isWorthMoving)),
    renames: [],
    pieces: new PieceCache(loadText),
    stepsLeft: renameStepsMax,
  };
  pairExact(search);
  await pairBySameName(search, isRelevant, similarityMin);
  for (const source of search.sources) if (!isRelevant(source.path)) search.sources.delete(source);
  await pairBySimilarity(search, similarityMin);
  return search.renames;
}

type Search = {
  sources: Set<Located>;
  targets: Set<Located>;
  renames: Rename[];
  pieces: PieceCache;
  stepsLeft: number;
};

/** An empty file is like every other empty file: that it moved cannot be known. */
function isWorthMoving({ entry }: Located): boolean {
  return entry.kind === "symlink" || entry.size > 0;
}

function pairUp(search: Search, from: Located, to: Located, similarity: number): void {
  search.sources.delete(from);
  search.targets.delete(to);
  search.renames.push({ from, to, similarity });
}

function pairExact(search: Search): void {
  const byContents = new Map<string, Located[]>();
  for (const source of search.sources) {
    const key = contentsKey(source);
    const known = byContents.get(key);
    if (known) known.push(source);
    else byContents.set(key, [source]);
  }
  for (const target of search.targets) {
    const candidates = byContents.get(contentsKey(target)) ?? [];
    const free = candidates.filter((source) => search.sources.has(source)).slice(0, 100);
    let best = free[0];
    for (const source of free) {
      if (best && partsShared(source, target) > partsShared(best, target)) best = source;
    }
    if (best) pairUp(search, best, target, 1);
  }
}

function contentsKey({ entry }: Located): string {
  return entry.kind === "symlink" ? `symlink ${entry.target}` : `file ${hashKey(entry.hash)}`;
}

/** Most renames move a file to another directory: try that before all against all. */
async function pairBySameName(
  search: Search,
  isRelevant: (path: string) => boolean,
  similarityMin: number,
): Promise<void> {
  const least = similarityMin + sameNameStricter * (1 - similarityMin);
  const goneNames = uniqueNames(search.sources);
  const comeNames = uniqueNames(search.targets);
  const directories = movedDirectories(search.renames);
  const targetAt = new Map([...search.targets].map((target) => [target.path, target]));
  for (const source of search.sources) {
    const name = baseName(source.path);
    if (!isRelevant(source.path) || !comeNames.has(name)) continue;
    const directory = directories.get(parentPath(source.path));
    const guess = directory === undefined ? undefined : targetAt.get(joinPath(directory, name));
    const target = (goneNames.get(name) && comeNames.get(name)) ?? guess;
    if (!target || !search.targets.has(target)) continue;
    const alike = await compare(search, source, target, least);
    if (alike >= least) pairUp(search, source, target, alike);
  }
}

/** Where most files of a directory went, judging by the renames that are certain. */
function movedDirectories(renames: readonly Rename[]): Map<string, string> {
  const counts = new Map<string, Map<string, number>>();
  for (const { from, to } of renames) {
    const targets = counts.get(parentPath(from.path)) ?? new Map<string, number>();
    counts.set(parentPath(from.path), targets);
    targets.set(parentPath(to.path), (targets.get(parentPath(to.path)) ?? 0) + 1);
  }
  const moved = new Map<string, string>();
  for (const [from, targets] of counts) {
    const [best] = [...targets].sort((a, b) => b[1] - a[1]);
    if (best) moved.set(from, best[0]);
  }
  return moved;
}

/** Files by their last name; a name that several have stands for none. */
function uniqueNames(files: Iterable<Located>): Map<string, Located | undefined> {
  const names = new Map<string, Located | undefined>();
  for (const file of files) {
    const name = baseName(file.path);
    names.set(name, names.has(name) ? undefined : file);
  }
  return names;
}

type Candidate = { from: Located; to: Located; similarity: number; isSameName: boolean };

async function pairBySimilarity(search: Search, similarityMin: number): Promise<void> {
  const { sources, targets, pieces } = search;
  if (sources.size === 0 || targets.size === 0) return;
  await pieces.loadAll(sources);
  await pieces.loadAll(targets);
  const candidates: Candidate[] = [];
  for (const to of targets) {
    const own: Candidate[] = [];
    for (const from of sources) {
      if (search.stepsLeft < 0) return;
      const similarity = compareHeld(search, from, to, similarityMin);
      if (similarity < similarityMin) continue;
      own.push({ from, to, similarity, isSameName: baseName(from.path) === baseName(to.path) });
    }
    own.sort(compareCandidates);
    candidates.push(...own.slice(0, candidatesPerTarget));
  }
  candidates.sort(compareCandidates);
  for (const { from, to, similarity } of candidates) {
    if (sources.has(from) && targets.has(to)) pairUp(search, from, to, similarity);
  }
}

function compareCandidates(a: Candidate, b: Candidate): number {
  return b.similarity - a.similarity || Number(b.isSameName) - Number(a.isSameName);
}

async function compare(search: Search, from: Located, to: Located, least: number): Promise<number> {
  if (!couldBeAlike(from, to, least)) return 0;
  await search.pieces.loadAll([from, to]);
  return compareHeld(search, from, to, least);
}

function compareHeld(search: Search, from: Located, to: Located, least: number): number {
  search.stepsLeft--;
  if (!couldBeAlike(from, to, least)) return 0;
  const a = search.pieces.held(from);
  const b = search.pieces.held(to);
  if (!a || !b) return 0;
  search.stepsLeft -= a.hashes.length + b.hashes.length;
  return piecesSimilarity(a, b);
}

/** What one file is longer by cannot be shared, so the sizes alone often decide. */
function couldBeAlike(from: Located, to: Located, least: number): boolean {
  if (from.entry.kind === "symlink" || to.entry.kind === "symlink") return false;
  const { size: a } = from.entry;
  const { size: b } = to.entry;
  return Math.min(a, b) >= Math.max(a, b) * least;
}

/** How many names at the end of two paths are the same: of equal files, those belong together. */
function partsShared({ path: a }: Located, { path: b }: Located): number {
  const [parts, others] = [a.split("/").reverse(), b.split("/").reverse()];
  const unlike = parts.findIndex((part, index) => part !== others[index]);
  return unlike < 0 ? parts.length : unlike;
}

/** Reads each file once, within a bound on all of them together. */
class PieceCache {
  readonly #loadText: TextLoader;
  readonly #pieces = new Map<Located, Pieces | undefined>();
  #bytesRead = 0;

  constructor(loadText: TextLoader) {
    this.#loadText = loadText;
  }

  held(file: Located): Pieces | undefined {
    return this.#pieces.get(file);
  }

  async loadAll(files: Iterable<Located>): Promise<void> {
    const missing = [...files].filter((file) => !this.#pieces.has(file));
    for (let at = 0; at < missing.length; at += loadsAtOnce) {
      await Promise.all(missing.slice(at, at + loadsAtOnce).map((file) => this.#load(file)));
    }
  }

  async #load(file: Located): Promise<void> {
    const { entry } = file;
    this.#pieces.set(file, undefined);
    if (entry.kind !== "file" || entry.size > renamedFileBytesMax) return;
    if (this.#bytesRead + entry.size > renameReadBytesMax) return;
    this.#bytesRead += entry.size;
    const bytes = await this.#loadText(entry);
    if (bytes) this.#pieces.set(file, cutPieces(bytes));
  }
}
