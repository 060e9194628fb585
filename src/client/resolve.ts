/** Puts one side of a conflict, or its base, in the conflict's place. */
import {
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { ConflictTerm } from "#core/conflict.ts";
import { PogoError } from "#core/errors.ts";
import { hashKey } from "#core/hash.ts";
import { decodeObject } from "#core/object.ts";
import { baseName, foldName, parentPath, symlinkEscapes } from "#core/path.ts";
import type { FileEntry, SymlinkEntry } from "#core/tree.ts";
import { renderDirectory } from "./conflict-files.ts";
import { readStanding } from "./contents.ts";
import type { Remote } from "./remote.ts";
import { treeLoader } from "./render-conflicts.ts";
import {
  addConflicts,
  baseConflicts,
  removeSides,
  type ConflictRecord,
  type RenderedConflicts,
} from "./working-copy/conflict-records.ts";
import { scan } from "./working-copy/scan.ts";
import { writing } from "./working-copy/writing.ts";
import type { Workspace } from "./workspace.ts";

/** A side by its number, from 1, or its name; or the first base. */
export type Choice = { side: string } | "base";

/** A path in conflict, for people: what its sides are called, and what each has. */
export type OpenConflict = {
  path: string;
  sides: { name: string; kind: ConflictTerm["kind"] | "absent" }[];
  files: string[];
  /** It was edited, and has markers yet. */
  isUnfinished: boolean;
};

type Parts = { workspace: Workspace; remote: Remote };

/** Lists what is in conflict in the working copy. */
export function listConflicts(workspace: Workspace): OpenConflict[] {
  const { conflicted, unfinished } = scan(workspace);
  const records = baseConflicts(workspace.state);
  return conflicted.map((path) => {
    const { names = [], entry, files = [], standIns = [] } = records.get(path) ?? {};
    const sides = names.map((name, index) => {
      return { name, kind: entry?.sides[index]?.kind ?? ("absent" as const) };
    });
    const shown = standIns.length > 0 ? standIns : files.map((file) => file.path);
    return { path, sides, files: shown, isUnfinished: unfinished.includes(path) };
  });
}

/** Resolves a path in conflict. Sides that somebody wrote to stay where they are. */
export async function resolveConflict(parts: Parts, path: string, choice: Choice): Promise<void> {
  const { workspace } = parts;
  const record = findConflict(workspace, path);
  const term = choose(record, choice);
  const target = placeOf(path, term);
  const { root, control } = workspace;
  const staging = join(control, "resolving");
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging);
  try {
    const staged = join(staging, "chosen");
    if (term) await writeTerm(parts, target, staged, term);
    writing(path, () => {
      // The markers' text was made here: it can be made again.
      rmSync(join(root, path), { recursive: false, force: true });
      if (!term) return;
      mkdirSync(dirname(join(root, target)), { recursive: true });
      renameSync(staged, join(root, target));
    });
    removeSides(root, record);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** How the conflict at a path stands. */
export function findConflict({ state }: Workspace, path: string): ConflictRecord {
  const record = baseConflicts(state).get(path);
  if (record) return record;
  throw new PogoError("not-found", `${JSON.stringify(path)} is not in conflict`);
}

/** A side that stood next to the conflict, under a name that differs in case alone, keeps that. */
function placeOf(path: string, term: ConflictTerm | undefined): string {
  const own = term?.path ?? path;
  const isNext = parentPath(own) === parentPath(path);
  return isNext && foldName(baseName(own)) === foldName(baseName(path)) ? own : path;
}

function choose({ path, entry, names }: ConflictRecord, choice: Choice): ConflictTerm | undefined {
  if (choice === "base") return entry.bases[0];
  const { side } = choice;
  const byNumber = /^\d+$/.test(side) ? Number(side) - 1 : -1;
  const byName = names.filter((name) => name === side || name.startsWith(side));
  const index = byNumber in names ? byNumber : names.indexOf(byName[0] ?? "");
  if (index >= 0 && (byNumber >= 0 || byName.length === 1)) return entry.sides[index];
  const sides = names.map((name, at) => `${at + 1} (${name})`).join(", ");
  throw new PogoError("usage", `${JSON.stringify(path)} has no side ${JSON.stringify(side)}`, {
    hint: `its sides are ${sides}`,
  });
}

async function writeTerm(
  { workspace, remote }: Parts,
  path: string,
  target: string,
  term: ConflictTerm,
): Promise<void> {
  if (term.kind !== "directory") return await writeLeaf(remote, path, target, term);
  const trees = treeLoader(workspace, remote, () => undefined);
  const objects: RenderedConflicts["objects"] = new Map();
  const { files, records } = await renderDirectory({ remote, trees, objects }, path, term.hash);
  addConflicts(workspace.state, {
    records: new Map(records.map((record) => [record.path, record])),
    objects,
  });
  for (const { path: child, entry } of files) {
    const absolute = join(target, child.slice(path.length + 1));
    mkdirSync(dirname(absolute), { recursive: true });
    const made = entry.kind === "file" ? objects.get(hashKey(entry.hash)) : undefined;
    if (!made) await writeLeaf(remote, child, absolute, entry);
    else writing(child, () => writeFileSync(absolute, decodeObject(made.hash, made.bytes)));
  }
}

async function writeLeaf(
  remote: Remote,
  path: string,
  target: string,
  entry: Omit<FileEntry, "name"> | Omit<SymlinkEntry, "name">,
): Promise<void> {
  if (entry.kind === "symlink") {
    if (!symlinkEscapes(path, entry.target)) {
      return writing(path, () => symlinkSync(entry.target, target));
    }
    const where = `leads out of the working copy, to ${JSON.stringify(entry.target)}`;
    throw new PogoError("usage", `${JSON.stringify(path)} ${where}`, {
      hint: "take another side, or put something in its place by hand",
    });
  }
  const descriptor = writing(path, () => openSync(target, "w", entry.executable ? 0o777 : 0o666));
  try {
    for await (const piece of readStanding(remote, entry.hash)) {
      writing(path, () => {
        for (let offset = 0; offset < piece.length;) offset += writeSync(descriptor, piece, offset);
      });
    }
  } finally {
    closeSync(descriptor);
  }
}
