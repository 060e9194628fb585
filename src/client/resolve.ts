/** Puts one side of a conflict, or its base, in the conflict's place. */
import {
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { ConflictTerm } from "#core/conflict.ts";
import { PogoError } from "#core/errors.ts";
import type { FileEntry, SymlinkEntry } from "#core/tree.ts";
import { readContents } from "./contents.ts";
import type { Remote } from "./remote.ts";
import { entriesBelow, treeLoader } from "./render-conflicts.ts";
import { baseConflicts, standsAs, type ConflictRecord } from "./working-copy/conflict-records.ts";
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
  const record = baseConflicts(workspace.state).get(path);
  if (!record) throw new PogoError("not-found", `${JSON.stringify(path)} is not in conflict`);
  const term = choose(record, choice);
  const { root, control } = workspace;
  const staging = join(control, "resolving");
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging);
  try {
    const staged = join(staging, "chosen");
    if (term) await writeTerm(parts, path, staged, term);
    const target = join(root, path);
    writing(path, () => {
      // The markers' text was made here: it can be made again.
      rmSync(target, { recursive: false, force: true });
      if (term) renameSync(staged, target);
    });
    for (const file of record.files) {
      if (file.path !== path && standsAs(root, file)) rmSync(join(root, file.path));
    }
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
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
  for await (const { path: below, entry } of entriesBelow(trees, "", term.hash)) {
    if (entry.kind === "conflict") continue;
    const absolute = join(target, below);
    mkdirSync(dirname(absolute), { recursive: true });
    await writeLeaf(remote, `${path}/${below}`, absolute, entry);
  }
}

async function writeLeaf(
  remote: Remote,
  path: string,
  target: string,
  entry: Omit<FileEntry, "name"> | Omit<SymlinkEntry, "name">,
): Promise<void> {
  if (entry.kind === "symlink") return writing(path, () => symlinkSync(entry.target, target));
  const descriptor = writing(path, () => openSync(target, "w", entry.executable ? 0o777 : 0o666));
  try {
    for await (const piece of readContents(remote, entry.hash)) {
      writing(path, () => {
        for (let offset = 0; offset < piece.length;) offset += writeSync(descriptor, piece, offset);
      });
    }
  } finally {
    closeSync(descriptor);
  }
}
