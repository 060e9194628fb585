/** The texts of a conflict as files, for a program that merges them, and what it made of them. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { extname, join } from "node:path";
import { hasMarkers } from "#core/conflict-markers.ts";
import type { ConflictTerm } from "#core/conflict.ts";
import { PogoError } from "#core/errors.ts";
import { nameBytesMax } from "#core/limits.ts";
import { baseName } from "#core/path.ts";
import { shortenName } from "./conflict-files.ts";
import { readStanding } from "./contents.ts";
import type { Remote } from "./remote.ts";
import { findConflict } from "./resolve.ts";
import type { ConflictRecord } from "./working-copy/conflict-records.ts";
import { writing } from "./working-copy/writing.ts";
import type { Workspace } from "./workspace.ts";

/** Files that say in their names which is which; `merged` begins as the text with markers. */
export type MergeFiles = { base: string; local: string; remote: string; merged: string };

export type TextMerge = Disposable & {
  files: MergeFiles;
  /** Takes what stands in `merged` over; tells whether it was edited, and has markers yet. */
  take(): "resolved" | "unfinished" | "unchanged";
};

type Parts = { workspace: Workspace; remote: Remote };

/** Tells why no program can merge a conflict, if so, and what to do instead. */
export function textMergeProblem(
  workspace: Workspace,
  path: string,
): { problem: string; hint: string } | undefined {
  const { entry, markerLength } = findConflict(workspace, path);
  const name = JSON.stringify(path);
  const hint = `pogo resolve ${path} --side NAME`;
  if (markerLength === undefined) return { problem: `${name} has no lines to merge`, hint };
  if (entry.sides.length === 2) return undefined;
  const count = entry.sides.length;
  const problem = `${name} has ${count} sides, and merge tools show two`;
  return { problem, hint: `edit its markers away, or take one side: ${hint}` };
}

/** Writes the sides of a conflict of two texts, its base and the text with markers. */
export async function openTextMerge(parts: Parts, path: string): Promise<TextMerge> {
  const { workspace, remote } = parts;
  const problem = textMergeProblem(workspace, path);
  if (problem) throw new PogoError("usage", problem.problem, { hint: problem.hint });
  const record = findConflict(workspace, path);
  const target = join(workspace.root, path);
  const before = readFileSync(target);
  const merging = join(workspace.control, "merging");
  mkdirSync(merging, { recursive: true });
  const directory = mkdtempSync(join(merging, "files-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const files = nameFiles(directory, record);
    await writeText(remote, files.base, record.entry.bases[0]);
    await writeText(remote, files.local, record.entry.sides[0]);
    await writeText(remote, files.remote, record.entry.sides[1]);
    writing(path, () => writeFileSync(files.merged, before));
    return {
      files,
      take: () => takeMerged(target, path, before, files.merged, record),
      [Symbol.dispose]: remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function nameFiles(directory: string, { path, names }: ConflictRecord): MergeFiles {
  const name = baseName(path);
  const extension = shortenName(extname(name), 32);
  const stem = extname(name) === extension ? name.slice(0, name.length - extension.length) : name;
  const [ours = "", theirs = ""] = names[0] === names[1] ? ["side-1", "side-2"] : names;
  const place = (which: string) => {
    const rest = `.${which}${extension}`;
    return join(directory, shortenName(stem, nameBytesMax - Buffer.byteLength(rest)) + rest);
  };
  return {
    base: place("base"),
    local: place(ours),
    remote: place(theirs),
    merged: place("merged"),
  };
}

async function writeText(
  remote: Remote,
  file: string,
  term: ConflictTerm | undefined,
): Promise<void> {
  const pieces =
    term?.kind === "file" ? await Array.fromAsync(readStanding(remote, term.hash)) : [];
  // Who edits one of them edits nothing.
  writing(file, () => writeFileSync(file, Buffer.concat(pieces), { mode: 0o444 }));
}

function takeMerged(
  target: string,
  path: string,
  before: Uint8Array,
  merged: string,
  { markerLength }: ConflictRecord,
): ReturnType<TextMerge["take"]> {
  const after = readFileSync(merged);
  if (Buffer.compare(before, after) === 0) return "unchanged";
  if (Buffer.compare(before, readFileSync(target)) !== 0) {
    throw new PogoError("conflict", `${JSON.stringify(path)} was edited while the tool ran`, {
      hint: `it stays as it is: pogo resolve --tool ${path}`,
    });
  }
  writing(path, () => {
    chmodSync(merged, lstatSync(target).mode);
    renameSync(merged, target);
  });
  return hasMarkers(after, markerLength ?? 0) ? "unfinished" : "resolved";
}
