/**
 * Does the steps of an operation: removes, changes modes, and renames what was staged into place.
 *
 * Right before a step is done its path is compared once more with what the step expects there. If
 * somebody has written there since, the file stays as it is and is reported: it differs from the
 * new base like any other edit. So every step may be tried again after an interruption.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { equalHashes } from "#core/hash.ts";
import { parentPath } from "#core/path.ts";
import { packStat, statWords } from "#native/directory.ts";
import type { Workspace } from "../workspace.ts";
import { stagedPath, type Step } from "./journal.ts";
import { hashWorkingFile, readLink } from "./read.ts";
import { needsStaging } from "./stage.ts";
import { equalStats, isExecutable, type Stat } from "./stat.ts";
import { writing } from "./writing.ts";

/** What became of the steps. */
export type Applied = {
  /** Stats of the files that now are what the new base says. */
  stats: Map<string, Stat>;
  /** Paths where somebody else's file was left. */
  kept: string[];
  /** Directories below the root that were seen to be directories, not links to some. */
  directories: Set<string>;
  /** Parents of removed files. */
  emptied: Set<string>;
};

/** Puts away what stands at a path, or says that nothing may be done there. */
export type Displace = (path: string) => boolean;

/** Starts to record what becomes of steps. */
export function newApplied(): Applied {
  return { stats: new Map(), kept: [], directories: new Set([""]), emptied: new Set() };
}

/**
 * Does one step. `expected` is the stat that the file had when the step was planned, if known;
 * `displace` is called for what is in the way instead of comparing it.
 */
export function applyStep(
  workspace: Workspace,
  step: Step,
  applied: Applied,
  settings: { expected?: Stat | undefined; displace?: Displace } = {},
): void {
  const { root } = workspace;
  const { path, before, after } = step;
  const staged = stagedPath(workspace, step);
  const target = join(root, path);
  if (needsStaging(step) && !isThere(staged)) return;
  if (!isReachable(workspace, path, applied, after !== undefined)) {
    if (after) applied.kept.push(path);
    return;
  }
  const stat = statOf(target);
  if (after && stat && !needsStaging(step) && isAsEntry(workspace, path, after, stat)) {
    return void applied.stats.set(path, stat);
  }
  // The file is gone: a directory stands there that is new, and may be of this very operation.
  if (!after && stat && isDirectory(stat)) return;
  const isFree = stat === undefined || makeWay(workspace, step, stat, applied, settings);
  if (!isFree) {
    applied.kept.push(path);
    if (needsStaging(step)) unlinkSync(staged);
    return;
  }
  if (!after) {
    // What was displaced is gone already; what stands there now came later.
    if (stat && !settings.displace) writing(path, () => unlinkSync(target));
    applied.emptied.add(parentPath(path));
    return;
  }
  if (needsStaging(step)) {
    const stagedStat = statOf(staged);
    writing(path, () => renameSync(staged, target));
    rememberStat(applied, path, target, stagedStat);
  } else if (before && after.kind === "file" && stat) {
    const mode = stat[0]! & 0o777;
    const wanted = after.executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111;
    writing(path, () => chmodSync(target, wanted));
    rememberStat(applied, path, target, stat);
  } else {
    // Nothing stands there whose mode could change.
    applied.kept.push(path);
  }
}

/** Removes the directories that the steps emptied. */
export function removeEmptied(workspace: Workspace, { emptied, directories }: Applied): void {
  const waiting = [...emptied].sort((a, b) => b.length - a.length);
  const seen = new Set<string>();
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    if (path === "" || seen.has(path)) continue;
    seen.add(path);
    try {
      rmdirSync(join(workspace.root, path));
      directories.delete(path);
      waiting.push(parentPath(path));
      waiting.sort((a, b) => b.length - a.length);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") waiting.push(parentPath(path));
      else if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOTDIR") throw error;
    }
  }
  emptied.clear();
}

// Tells whether what stands at a path is what an entry says.
function isAsEntry(
  { root }: Workspace,
  path: string,
  entry: NonNullable<Step["before"]>,
  stat: Stat,
): boolean {
  const kind = stat[0]! & 0o170000;
  if (entry.kind === "symlink") return kind === 0o120000 && readLink(root, path) === entry.target;
  if (kind !== 0o100000 || isExecutable(stat[0]!) !== entry.executable) return false;
  return equalHashes(hashWorkingFile(root, path).hash, entry.hash);
}

/** Stat of a path, or nothing when nothing is there. */
export function statOf(path: string): Stat | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (!found) return undefined;
  const stat = new Uint32Array(statWords);
  packStat(found, stat);
  return stat;
}

/**
 * Sees to it that the directory of a path is one, all the way down, and no symlink that would
 * lead the step elsewhere. Makes it if asked to.
 */
export function isReachable(
  workspace: Workspace,
  path: string,
  { directories }: Pick<Applied, "directories">,
  make: boolean,
): boolean {
  const parent = parentPath(path);
  if (directories.has(parent)) return true;
  if (!isReachable(workspace, parent, { directories }, make)) return false;
  const absolute = join(workspace.root, parent);
  const found = lstatSync(absolute, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) return false;
  if (!found) {
    if (!make) return false;
    writing(parent, () => mkdirSync(absolute));
  }
  directories.add(parent);
  return true;
}

function makeWay(
  workspace: Workspace,
  step: Step,
  stat: Stat,
  applied: Applied,
  { expected, displace }: { expected?: Stat | undefined; displace?: Displace },
): boolean {
  const { path, before, after } = step;
  const absolute = join(workspace.root, path);
  if (isDirectory(stat)) {
    if (!removeEmptyDirectories(absolute)) return false;
    applied.directories.delete(path);
    return true;
  }
  if (displace && (!after || needsStaging(step))) return displace(path);
  if (!before) return false;
  if (expected && equalStats(expected, 0, stat, 0)) return true;
  return isAsEntry(workspace, path, before, stat);
}

/** Removes a directory that holds nothing but directories; says no if it holds more. */
export function removeEmptyDirectories(absolute: string): boolean {
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    if (!entry.isDirectory() || !removeEmptyDirectories(join(absolute, entry.name))) return false;
  }
  rmdirSync(absolute);
  return true;
}

// A rename changes a file's ctime and nothing else. If anything else differs, or the file was
// replaced, what stands there now is not known to be ours.
function rememberStat(applied: Applied, path: string, target: string, was: Stat | undefined): void {
  const is = statOf(target);
  if (!is || !was) return;
  for (const word of [1, 2, 3, 4, 5, 6]) if (is[word] !== was[word]) return;
  applied.stats.set(path, is);
}

function isDirectory(stat: Stat): boolean {
  return (stat[0]! & 0o170000) === 0o040000;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
