/**
 * Two snapshots side by side, of which the newer may be the working copy, and the contents of
 * their files, fetched a few at a time.
 */
import { hashKey, type Hash } from "#core/hash.ts";
import { diffBytesMax } from "#core/limits.ts";
import { patchMode, type PatchFile, type PatchPair } from "#core/patch.ts";
import { detectRenames, type Located } from "#core/rename.ts";
import {
  compareNames,
  equalEntries,
  type Entry,
  type FileEntry,
  type SymlinkEntry,
} from "#core/tree.ts";
import { compareSnapshots } from "./compare.ts";
import { conflictFiles, conflictText } from "./conflict-text.ts";
import { readWholeContents } from "./contents.ts";
import type { Remote } from "./remote.ts";
import { scan } from "./working-copy/scan.ts";
import { hashWorkingFile, readWorkingFile } from "./working-copy/read.ts";
import type { Workspace } from "./workspace.ts";

export type Status = "added" | "modified" | "deleted" | "renamed";

/** A path on both sides. The paths differ when the file was renamed. */
export type ComparedFile = {
  status: Status;
  path: string;
  oldPath: string;
  old: Entry | undefined;
  new: Entry | undefined;
};

type Side = { old: Entry | undefined; new: Entry | undefined };

export type Comparison = {
  files: ComparedFile[];
  /** Yields the files with their contents, in order; what is too large has no bytes. */
  pairs(): AsyncGenerator<{ file: ComparedFile; pair: PatchPair }>;
};

const batchBytes = 16 * 1024 * 1024;
const batchCount = 512;
// It is shown as the text that it would be.
const conflictMode = "100644";
// Similarity is compared pair by pair: with more candidates only exact renames are worth it.
const renameCandidatesMax = 1000;

/** Compares two snapshots; without a second one, the first with the working copy. */
export async function compareFiles(
  parts: { workspace: Workspace; remote: Remote },
  from: Hash,
  to: Hash | undefined,
  isWanted: (path: string) => boolean,
): Promise<Comparison> {
  const { workspace, remote } = parts;
  const sides = new Map<string, Side>();
  const base = to ?? workspace.state.current.tree;
  for await (const { path, old, new: next } of compareSnapshots(remote, from, base)) {
    if (isWanted(path)) sides.set(path, { old, new: next });
  }
  // Contents that only the working copy has, by hash.
  const local = new Map<string, string>();
  if (to === undefined) overlayWorkingCopy(workspace, sides, local, isWanted);
  const load = (wanted: FileEntry[]) => loadContents(parts, local, wanted);
  const files = await pairRenames(sides, load);
  return { files, pairs: () => readPairs(files, load) };
}

function overlayWorkingCopy(
  workspace: Workspace,
  sides: Map<string, Side>,
  local: Map<string, string>,
  isWanted: (path: string) => boolean,
): void {
  for (const { path, before, after } of scan(workspace).differences) {
    if (!isWanted(path)) continue;
    const known = sides.get(path);
    const old = known ? known.old : before;
    let next: Entry | undefined;
    if (after?.kind === "symlink") {
      next = after;
    } else if (after) {
      const { hash, size, executable } = hashWorkingFile(workspace.root, path);
      next = { kind: "file", name: after.name, executable, size, hash };
      local.set(hashKey(hash), path);
    }
    if (old && next && equalEntries(old, next)) sides.delete(path);
    else if (old || next) sides.set(path, { old, new: next });
  }
}

type ContentLoader = (wanted: FileEntry[]) => Promise<(hash: Hash) => Uint8Array | undefined>;

async function loadContents(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  local: Map<string, string>,
  wanted: FileEntry[],
): Promise<(hash: Hash) => Uint8Array | undefined> {
  const distant = wanted.filter(({ hash }) => !local.has(hashKey(hash)));
  const fetched = await readWholeContents(remote, distant, diffBytesMax);
  const read = new Map<string, Uint8Array>();
  for (const { hash, size } of wanted) {
    const path = local.get(hashKey(hash));
    if (path === undefined || size > diffBytesMax) continue;
    read.set(hashKey(hash), readWorkingFile(workspace.root, path).bytes);
  }
  return (hash) => read.get(hashKey(hash)) ?? fetched(hash);
}

function isPlain(entry: Entry): entry is FileEntry | SymlinkEntry {
  return entry.kind === "file" || entry.kind === "symlink";
}

async function pairRenames(sides: Map<string, Side>, load: ContentLoader): Promise<ComparedFile[]> {
  const gone: Located[] = [];
  const come: Located[] = [];
  for (const [path, { old, new: next }] of sides) {
    if (old && !next && isPlain(old)) gone.push({ path, entry: old });
    if (next && !old && isPlain(next)) come.push({ path, entry: next });
  }
  const isSmall = gone.length <= renameCandidatesMax && come.length <= renameCandidatesMax;
  const loadText = async (entry: FileEntry) => (await load([entry]))(entry.hash);
  const renames = await detectRenames(loadText, gone, come, { isRelevant: () => isSmall });
  const renamedFrom = new Map(renames.map(({ from, to }) => [to.path, from]));
  const movedAway = new Set(renames.map(({ from }) => from.path));
  const files: ComparedFile[] = [];
  for (const [path, { old, new: next }] of sides) {
    const from = renamedFrom.get(path);
    if (from) {
      files.push({ status: "renamed", path, oldPath: from.path, old: from.entry, new: next });
    } else if (!movedAway.has(path)) {
      const status = old ? (next ? "modified" : "deleted") : "added";
      files.push({ status, path, oldPath: path, old, new: next });
    }
  }
  return files.sort((a, b) => compareNames(a.path, b.path));
}

async function* readPairs(
  files: ComparedFile[],
  load: ContentLoader,
): AsyncGenerator<{ file: ComparedFile; pair: PatchPair }> {
  for (let start = 0; start < files.length;) {
    const batch: ComparedFile[] = [];
    const wanted: FileEntry[] = [];
    let gathered = 0;
    while (start < files.length && gathered < batchBytes && batch.length < batchCount) {
      const file = files[start++];
      if (!file) break;
      batch.push(file);
      for (const entry of [file.old, file.new]) {
        const named = entry?.kind === "conflict" ? conflictFiles(entry) : [entry];
        for (const part of named) {
          if (part?.kind !== "file") continue;
          wanted.push(part);
          gathered += Math.min(part.size, diffBytesMax);
        }
      }
    }
    const contents = await load(wanted);
    for (const file of batch) {
      const old = patchFile(file.oldPath, file.old, contents);
      const next = patchFile(file.path, file.new, contents);
      yield { file, pair: { old, new: next } };
    }
  }
}

function patchFile(
  path: string,
  entry: Entry | undefined,
  contents: (hash: Hash) => Uint8Array | undefined,
): PatchFile | undefined {
  if (entry?.kind === "conflict") {
    return { path, mode: conflictMode, bytes: conflictText(entry, contents) };
  }
  if (!entry || !isPlain(entry)) return undefined;
  const mode = patchMode(entry);
  if (entry.kind === "symlink") return { path, mode, bytes: Buffer.from(entry.target) };
  return { path, mode, bytes: contents(entry.hash) };
}
