/**
 * What a checkout has to do: the steps from the base to another tree, and proof that no step
 * throws away what only the working copy has. Nothing is touched while planning.
 */
import { lstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { assert, PogoError } from "#core/errors.ts";
import { equalHashes, type Hash } from "#core/hash.ts";
import {
  foldName,
  joinPath,
  parentPath,
  pathProblem,
  symlinkEscapes,
  windowsNameProblem,
} from "#core/path.ts";
import { mayBeOfSize } from "#core/placeholder.ts";
import { emptyTreeHash, equalEntries, verifyTree, type Entry } from "#core/tree.ts";
import type { ConflictEntry, FileEntry, SymlinkEntry } from "#core/tree.ts";
import { baseTree, type TreeSource } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import { baseConflicts, type ConflictRecord } from "./conflict-records.ts";
import type { Step } from "./journal.ts";
import { hashWorkingFile, readLink } from "./read.ts";
import type { Difference } from "./scan.ts";
import { isExecutable } from "./stat.ts";

export type Plan = {
  steps: Step[];
  /** The trees of the target that the base does not have at their paths. */
  trees: { hash: Hash; bytes: Uint8Array }[];
};

type Planning = {
  workspace: Workspace;
  source: TreeSource;
  plan: Plan;
  differences: Map<string, Difference>;
  foldsCase: boolean;
  /** Directories that stand on the disk, or not; asked once. */
  standing: Map<string, boolean>;
  conflicts: string[];
  keepStanding: boolean;
  /** How conflicts stand, and how those of the target will. */
  records: Map<string, ConflictRecord>;
  targetRecords: ReadonlyMap<string, ConflictRecord>;
};

type Plain = Exclude<Entry, ConflictEntry>;

const conflictsShown = 10;

/**
 * Plans the way from the base to a tree. `differences` are what a scan found. With
 * `keepStanding` a path where something stands already is left out instead of refused.
 */
export function planCheckout(
  workspace: Workspace,
  source: TreeSource,
  target: Hash,
  differences: readonly Difference[],
  options: { keepStanding?: boolean; records?: ReadonlyMap<string, ConflictRecord> } = {},
): Plan {
  const planning: Planning = {
    workspace,
    source,
    plan: { steps: [], trees: [] },
    differences: new Map(differences.map((difference) => [difference.path, difference])),
    foldsCase: foldsCase(workspace),
    standing: new Map([["", true]]),
    conflicts: [],
    keepStanding: options.keepStanding === true,
    records: baseConflicts(workspace.state),
    targetRecords: options.records ?? new Map(),
  };
  planDirectory(planning, "", workspace.state.current.tree, target);
  refuseConflicts(planning.conflicts);
  // Removals first: a directory may make room for a file, and a name for one of another case.
  const { steps } = planning.plan;
  planning.plan.steps = [
    ...steps.filter(({ after }) => after === undefined),
    ...steps.filter(({ after }) => after !== undefined),
  ].map((step, position) => ({ ...step, position }));
  return planning.plan;
}

function planDirectory(
  planning: Planning,
  path: string,
  base: Hash | undefined,
  target: Hash | undefined,
): void {
  if (base && target && equalHashes(base, target)) return;
  const before = new Map(readTree(planning, base).map((entry) => [entry.name, entry]));
  const after = target ? targetEntries(planning, path, target) : [];
  for (const entry of after) {
    const child = joinPath(path, entry.name);
    const known = before.get(entry.name);
    before.delete(entry.name);
    if (known && equalEntries(known, entry)) continue;
    const old = standing(planning, child, known);
    if (entry.kind === "directory") {
      const oldHash = old?.kind === "directory" ? old.hash : undefined;
      if (old && !oldHash) planRemoval(planning, child, old);
      else if (!old) checkDirectory(planning, child);
      planDirectory(planning, child, oldHash, entry.hash);
      continue;
    }
    if (old?.kind === "directory") {
      planDirectory(planning, child, old.hash, undefined);
    }
    if (entry.kind === "conflict") planConflict(planning, child, old, entry);
    else planWrite(planning, child, old, entry);
  }
  for (const [name, known] of before) {
    const child = joinPath(path, name);
    const old = standing(planning, child, known);
    if (old?.kind === "directory") planDirectory(planning, child, old.hash, undefined);
    else if (old) planRemoval(planning, child, old);
  }
}

/** What stands at the path of an entry; what stands next to it for a conflict is removed. */
function standing(planning: Planning, path: string, entry: Entry | undefined): Plain | undefined {
  if (entry?.kind !== "conflict") return entry;
  let own: Plain | undefined;
  for (const file of planning.records.get(path)?.files ?? []) {
    if (file.path === path) own = file.entry;
    else planRemoval(planning, file.path, file.entry);
  }
  return own;
}

function planConflict(
  planning: Planning,
  path: string,
  old: Plain | undefined,
  entry: ConflictEntry,
): void {
  const record = planning.targetRecords.get(path);
  assert(record && equalEntries(record.entry, entry), "conflicts are rendered before a checkout");
  const isMarked = record.files.some((file) => file.path === path);
  if (old && old.kind !== "directory" && !isMarked) planRemoval(planning, path, old);
  for (const file of record.files) {
    const { steps } = planning.plan;
    const removal = steps.find((step) => step.path === file.path && !step.after);
    if (removal) removal.after = file.entry;
    else planWrite(planning, file.path, file.path === path ? old : undefined, file.entry);
  }
}

function planRemoval({ plan, differences, conflicts }: Planning, path: string, old: Plain): void {
  const difference = differences.get(path);
  if (difference?.status === "deleted") return;
  if (difference) return void conflicts.push(path);
  plan.steps.push({ position: 0, path, before: plain(old), after: undefined });
}

function planWrite(
  planning: Planning,
  path: string,
  old: Plain | undefined,
  after: FileEntry | SymlinkEntry,
): void {
  const { plan, differences, conflicts, workspace, keepStanding } = planning;
  if (old && old.kind !== "directory" && !differences.has(path)) {
    return void plan.steps.push({ position: 0, path, before: plain(old), after });
  }
  if (stands(planning, path)) {
    if (keepStanding) {
      if (mayBeTorn(workspace, path, after)) {
        plan.steps.push({ position: 0, path, before: undefined, after, mayBeTorn: true });
      }
      return;
    }
    if (isDirectory(workspace, path)) checkEmptied(planning, path);
    else if (isSame(workspace, path, after)) return;
    else return void conflicts.push(path);
  }
  plan.steps.push({ position: 0, path, before: undefined, after });
}

// A directory that the base does not have may stand already, but nothing else may.
function checkDirectory(planning: Planning, path: string): void {
  const isStanding = stands(planning, path);
  const isThere = isStanding && isDirectory(planning.workspace, path);
  planning.standing.set(path, isThere);
  if (isStanding && !isThere && !planning.keepStanding) planning.conflicts.push(path);
}

// What is left in a directory whose place a file takes: untracked or ignored files.
function checkEmptied(planning: Planning, path: string): void {
  const { workspace, conflicts, plan } = planning;
  const removed = new Set(plan.steps.map((step) => step.path));
  const visit = (directory: string) => {
    if (!isDirectory(workspace, directory)) return;
    for (const { name, isDirectory: below } of listed(workspace, directory)) {
      const child = joinPath(directory, name);
      if (below) visit(child);
      else if (!removed.has(child)) conflicts.push(child);
    }
  };
  visit(path);
}

function listed({ root }: Workspace, path: string): { name: string; isDirectory: boolean }[] {
  return readdirSync(join(root, path), { withFileTypes: true }).map((entry) => ({
    name: entry.name,
    isDirectory: entry.isDirectory(),
  }));
}

function stands(planning: Planning, path: string): boolean {
  const parent = parentPath(path);
  const { root } = planning.workspace;
  let isParentStanding = planning.standing.get(parent);
  if (isParentStanding === undefined) {
    isParentStanding = stands(planning, parent) && isDirectory(planning.workspace, parent);
    planning.standing.set(parent, isParentStanding);
  }
  if (!isParentStanding) return false;
  return lstatSync(join(root, path), { throwIfNoEntry: false }) !== undefined;
}

function isDirectory({ root }: Workspace, path: string): boolean {
  return lstatSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function mayBeTorn({ root }: Workspace, path: string, after: Step["after"]): boolean {
  const stat = lstatSync(join(root, path));
  return after?.kind === "file" && stat.isFile() && stat.size < after.size;
}

function isSame({ root }: Workspace, path: string, entry: FileEntry | SymlinkEntry): boolean {
  const stat = lstatSync(join(root, path));
  if (entry.kind === "symlink") {
    return stat.isSymbolicLink() && readLink(root, path) === entry.target;
  }
  if (!stat.isFile() || !mayBeOfSize(stat.size, entry)) return false;
  if (isExecutable(stat.mode) !== entry.executable) return false;
  return equalHashes(hashWorkingFile(root, path).hash, entry.hash);
}

function readTree({ workspace, source }: Planning, hash: Hash | undefined): Entry[] {
  if (!hash || equalHashes(hash, emptyTreeHash)) return [];
  const bytes = source(hash) ?? baseTree(workspace.state, hash);
  if (!bytes) throw new PogoError("corrupt", "a tree of the snapshot is missing");
  return verifyTree(hash, bytes);
}

function targetEntries(planning: Planning, path: string, hash: Hash): Entry[] {
  const { plan, source } = planning;
  const entries = readTree(planning, hash);
  const bytes = source(hash);
  if (bytes) plan.trees.push({ hash, bytes });
  const folded = new Map<string, string>();
  for (const entry of entries) {
    const child = joinPath(path, entry.name);
    const problem = entryProblem(child, entry);
    if (problem) throw new PogoError("corrupt", `${JSON.stringify(child)} ${problem}`);
    if (!planning.foldsCase) continue;
    const other = folded.get(foldName(entry.name));
    if (other === undefined) folded.set(foldName(entry.name), entry.name);
    else {
      const names = `${JSON.stringify(child)} and ${JSON.stringify(joinPath(path, other))}`;
      throw new PogoError("usage", `${names} are one name on this file system`, {
        hint: "clone into a directory on a case-sensitive file system",
      });
    }
  }
  return entries;
}

function entryProblem(path: string, entry: Entry): string | undefined {
  const problem = pathProblem(path);
  if (problem) return problem;
  if (entry.kind === "symlink" && symlinkEscapes(path, entry.target)) {
    return `leads out of the working copy, to ${JSON.stringify(entry.target)}`;
  }
  return process.platform === "win32" ? windowsNameProblem(entry.name) : undefined;
}

function plain(entry: Plain): FileEntry | SymlinkEntry {
  assert(entry.kind !== "directory", "directories are planned entry by entry");
  return entry;
}

function refuseConflicts(conflicts: readonly string[]): void {
  if (conflicts.length === 0) return;
  const names = [...new Set(conflicts)].sort();
  const shown = names.slice(0, conflictsShown).map((path) => JSON.stringify(path));
  if (names.length > shown.length) shown.push(`and ${names.length - shown.length} more`);
  throw new PogoError("conflict", `would overwrite local files: ${shown.join(", ")}`, {
    hint: "move them away, then run the command again",
  });
}

function foldsCase({ control }: Workspace): boolean {
  return statSync(join(control, "STATE.SQLITE"), { throwIfNoEntry: false }) !== undefined;
}
