/** Makes the files by which conflicts stand in a working copy: see conflict-records.ts. */
import { hasMarkers, markConflict } from "#core/conflict-markers.ts";
import type { ConflictTerm } from "#core/conflict.ts";
import { isPogoError } from "#core/errors.ts";
import { hashKey, sha256, type Hash } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { encodeObject } from "#core/object.ts";
import { joinPath, symlinkEscapes } from "#core/path.ts";
import {
  decodeTree,
  emptyTreeHash,
  equalEntries,
  type ConflictEntry,
  type Entry,
  type FileEntry,
  type SymlinkEntry,
} from "#core/tree.ts";
import { readWholeContents } from "./contents.ts";
import type { Remote } from "./remote.ts";
import { baseTree, type TreeSource } from "./state-directories.ts";
import type { CurrentChange, ParentChange } from "./state.ts";
import {
  baseConflicts,
  noConflicts,
  type ConflictRecord,
  type RenderedConflicts,
} from "./working-copy/conflict-records.ts";
import type { Workspace } from "./workspace.ts";

type Rendering = {
  remote: Remote;
  parents: readonly ParentChange[];
  trees: (hash: Hash) => Promise<Entry[]>;
  rendered: RenderedConflicts;
};
type FileTerm = Extract<ConflictTerm, { kind: "file" }>;
type Labels = { names: string[]; titles: string[] };

// Larger texts are not read by people side by side.
const textBytesMax = 1024 * 1024;
// Above, sides are numbered: whose they are would have to be asked path by path.
const namedConflictsMax = 100;
const ancestorsMax = 20;
const shownLetters = 8;

/** Renders all conflicts of a change that is about to be checked out. */
export async function renderConflicts(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  target: CurrentChange,
  source: TreeSource,
): Promise<RenderedConflicts> {
  if (!target.conflicted) return noConflicts;
  const rendered: RenderedConflicts = { records: new Map(), objects: new Map() };
  const trees = treeLoader(workspace, remote, source);
  const known = baseConflicts(workspace.state);
  const fresh: { path: string; entry: ConflictEntry }[] = [];
  for await (const { path, entry } of entriesBelow(trees, "", target.tree)) {
    if (entry.kind !== "conflict") continue;
    const before = known.get(path);
    if (before && equalEntries(before.entry, entry)) rendered.records.set(path, before);
    else fresh.push({ path, entry });
  }
  if (fresh.length === 0) return rendered;
  const parents = fresh.length > namedConflictsMax ? [] : await mergedParents(remote, target);
  const rendering: Rendering = { remote, parents, trees, rendered };
  for (const { path, entry } of fresh) {
    rendered.records.set(path, await renderConflict(rendering, path, entry));
  }
  return rendered;
}

/** Whose sides are in conflict: the parents of the change, or of the one it has them from. */
async function mergedParents(remote: Remote, target: CurrentChange): Promise<ParentChange[]> {
  let { parents } = target;
  for (let step = 0; step < ancestorsMax; step++) {
    const [first, second] = parents;
    if (!first || second) return parents;
    const above = await remote.getChange(`${first.change}@${first.version}`);
    if (!above.conflicted) return [];
    ({ parents } = above);
  }
  return [];
}

/** Yields the files, links and conflicts below a directory. */
export async function* entriesBelow(
  trees: (hash: Hash) => Promise<Entry[]>,
  path: string,
  tree: Hash,
): AsyncGenerator<{ path: string; entry: Exclude<Entry, { kind: "directory" }> }> {
  for (const entry of await trees(tree)) {
    const child = joinPath(path, entry.name);
    if (entry.kind === "directory") yield* entriesBelow(trees, child, entry.hash);
    else yield { path: child, entry };
  }
}

/** Finds trees in what was fetched, in the base, and on the server. */
export function treeLoader(
  { state }: Workspace,
  remote: Remote,
  source: TreeSource,
): (hash: Hash) => Promise<Entry[]> {
  const fetched = new Map<string, Uint8Array>();
  return async (hash) => {
    if (hashKey(hash) === hashKey(emptyTreeHash)) return [];
    let bytes = source(hash) ?? baseTree(state, hash) ?? fetched.get(hashKey(hash));
    if (!bytes) {
      for await (const tree of remote.getTrees(hash, undefined)) {
        fetched.set(hashKey(tree.hash), tree.bytes);
        bytes ??= tree.bytes;
      }
    }
    return decodeTree(bytes ?? new Uint8Array(0));
  };
}

async function renderConflict(
  rendering: Rendering,
  path: string,
  entry: ConflictEntry,
): Promise<ConflictRecord> {
  const labels = await labelSides(rendering, path, entry);
  const { names } = labels;
  const marked = await renderText(rendering, path, entry, labels);
  if (marked) return { path, entry, names, standIns: [], ...marked };
  const files: ConflictRecord["files"] = [];
  const standIns: string[] = [];
  for (const [index, side] of entry.sides.entries()) {
    if (!side) continue;
    const standIn = `${path}.~${names[index]}~`;
    standIns.push(standIn);
    await addSide(rendering, files, standIn, side);
  }
  return { path, entry, names, files, standIns };
}

async function addSide(
  { trees, rendered }: Rendering,
  files: ConflictRecord["files"],
  path: string,
  { path: _, ...side }: ConflictTerm,
): Promise<void> {
  if (side.kind === "directory") {
    for await (const { path: below, entry } of entriesBelow(trees, path, side.hash)) {
      if (entry.kind !== "conflict") files.push({ path: below, entry });
    }
    return;
  }
  const name = baseName(path);
  if (side.kind === "file" || !symlinkEscapes(path, side.target)) {
    return void files.push({ path, entry: { ...side, name } as FileEntry | SymlinkEntry });
  }
  // It must not be followed: the text says where it led.
  const bytes = Buffer.from(side.target);
  files.push({ path, entry: addObject(rendered, name, bytes, false) });
}

async function renderText(
  { remote, rendered }: Rendering,
  path: string,
  { sides, bases }: ConflictEntry,
  { titles }: Labels,
): Promise<Pick<ConflictRecord, "files" | "markerLength"> | undefined> {
  const [ours, theirs] = sides;
  const [base] = bases;
  const isFile = (term: ConflictTerm | undefined): term is FileTerm => term?.kind === "file";
  if (sides.length !== 2 || !isFile(ours) || !isFile(theirs)) return undefined;
  const wanted = [ours, theirs, ...(isFile(base) ? [base] : [])];
  if (wanted.some(({ size }) => size > textBytesMax)) return undefined;
  const contents = await readWholeContents(remote, wanted, textBytesMax);
  const texts = {
    ours: contents(ours.hash)!,
    theirs: contents(theirs.hash)!,
    base: isFile(base) ? contents(base.hash)! : new Uint8Array(0),
  };
  const labels = { ours: titles[0]!, theirs: titles[1]!, base: "before both" };
  const marked = markConflict(texts, labels);
  if (!marked || marked.bytes.length > objectBytesMax) return undefined;
  // Only their modes, or where they belong, may be in conflict.
  if (!hasMarkers(marked.bytes, marked.markerLength)) return undefined;
  const entry = addObject(rendered, baseName(path), marked.bytes, ours.executable);
  return { files: [{ path, entry }], markerLength: marked.markerLength };
}

function addObject(
  { objects }: RenderedConflicts,
  name: string,
  bytes: Uint8Array,
  executable: boolean,
): FileEntry {
  const hash = sha256(bytes);
  objects.set(hashKey(hash), { hash, bytes: encodeObject(bytes) });
  return { kind: "file", name, executable, size: bytes.length, hash };
}

/** Names the sides for the parents that have them. */
async function labelSides(
  { remote, parents }: Rendering,
  path: string,
  { sides }: ConflictEntry,
): Promise<Labels> {
  const names = sides.map((_, index) => `side-${index + 1}`);
  const titles = names.map((name) => name.replace("-", " "));
  for (const { change, version, description } of parents) {
    const revision = `${change}@${version}`;
    const index = await findSide(remote, revision, path, sides, names);
    if (index < 0) continue;
    names[index] = change.slice(0, shownLetters);
    const [line = ""] = description.split("\n", 1);
    titles[index] = `${names[index]} ${line}`.trim();
  }
  return { names, titles };
}

async function findSide(
  remote: Remote,
  revision: string,
  path: string,
  sides: ConflictEntry["sides"],
  names: readonly string[],
): Promise<number> {
  const found = new Map<string, Entry | undefined>();
  for (const [index, side] of sides.entries()) {
    if (!names[index]?.startsWith("side-")) continue;
    const at = side?.path ?? path;
    if (!found.has(at)) found.set(at, await entryAt(remote, revision, at));
    const entry = found.get(at);
    if (!side && !entry) return index;
    if (!side || !entry) continue;
    const { path: _, ...term } = side;
    if (equalEntries({ ...term, name: entry.name } as Entry, entry)) return index;
  }
  return -1;
}

async function entryAt(remote: Remote, revision: string, path: string): Promise<Entry | undefined> {
  try {
    const { entry } = await remote.getEntry(revision, path);
    return entry?.$case === "entryTree" ? decodeTree(entry.value)[0] : undefined;
  } catch (error) {
    if (isPogoError(error, "not-found")) return undefined;
    throw error;
  }
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
