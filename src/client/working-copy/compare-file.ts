/** Compares one file or link with what the base has at its path. */
import { equalHashes } from "#core/hash.ts";
import { symlinkEscapes } from "#core/path.ts";
import { mayBeOfSize } from "#core/placeholder.ts";
import type { Entry, FileEntry, SymlinkEntry } from "#core/tree.ts";
import { statWords } from "#native/directory.ts";
import { isMarkedConflict, keepNewConflict } from "./compare-conflict.ts";
import { checkName, keepEntry, refuse, type Place } from "./place.ts";
import { hashWorkingFile, readLink } from "./read.ts";
import type { ChangedFile } from "./scan.ts";
import { equalStats, isExecutable, isSettled, statSize, untrustedStat, type Stat } from "./stat.ts";

/** Compares a file whose stat stands in `stats` at `at`. */
export function compareFile(
  place: Place,
  name: string,
  path: string,
  stats: Uint32Array,
  at: number,
): void {
  const { visit, base } = place;
  const known = base.get(name);
  const before = known?.entry.kind === "directory" ? undefined : known?.entry;
  const executable = isExecutable(stats[at]!);
  if (known && before?.kind === "file" && before.executable === executable) {
    const isSame = isSameFile(place, path, before, known.index, stats.slice(at, at + statWords));
    if (isSame) return void keepEntry(place, name);
  }
  if (known && before?.kind === "conflict") {
    const stat = stats.slice(at, at + statWords);
    if (isMarkedConflict(place, path, known.index, stat)) return void keepEntry(place, name);
  } else if (!known && visit.conflicts.has(path)) {
    const stat = stats.slice(at, at + statWords);
    if (isMarkedConflict(place, path, undefined, stat)) return keepNewConflict(place, path);
  }
  if (!before) checkName(place, name, path);
  const size = statSize(stats, at);
  const stat = untrustedStat;
  const file: ChangedFile = { kind: "file", name, executable, size, hash: undefined, stat };
  const hashed = visit.learned.modified.get(path) ?? visit.modified.get(path);
  if (hashed && equalStats(hashed.stat, 0, stats, at)) {
    Object.assign(file, { hash: hashed.hash, stat: hashed.stat });
  } else if (before?.kind === "file" && before.size === size) {
    // Only its mode may have changed.
    hashFile(place, path, file);
  }
  addDifference(place, name, path, before, file);
}

/** Compares by stat, else by contents, and records the stat if it can be trusted next time. */
function isSameFile(
  place: Place,
  path: string,
  before: FileEntry,
  index: number,
  stat: Stat,
): boolean {
  const { visit, recorded, stats } = place;
  const at = index * statWords;
  if (equalStats(recorded, at, stat, 0)) {
    stats.set(stat, at);
    return true;
  }
  if (!mayBeOfSize(statSize(stat), before)) return false;
  const cached = visit.modified.get(path);
  if (cached && equalStats(cached.stat, 0, stat, 0)) return equalHashes(cached.hash, before.hash);
  const hashed = hashWorkingFile(visit.workspace.root, path);
  const clock = visit.clock();
  const isTrusted = clock !== undefined && isSettled(hashed.stat, clock);
  const isSame = equalHashes(hashed.hash, before.hash) && hashed.executable === before.executable;
  if (isTrusted && isSame) stats.set(hashed.stat, at);
  if (isTrusted && !isSame) visit.learned.modified.set(path, hashed);
  return isSame;
}

function hashFile({ visit }: Place, path: string, file: ChangedFile): void {
  const { stat, ...hashed } = hashWorkingFile(visit.workspace.root, path);
  Object.assign(file, hashed);
  const clock = visit.clock();
  if (!clock || !isSettled(stat, clock)) return;
  file.stat = stat;
  visit.learned.modified.set(path, { ...hashed, stat });
}

/** Compares a symlink. */
export function compareLink(place: Place, name: string, path: string, stat: Stat): void {
  const { visit, base, recorded, stats } = place;
  const known = base.get(name);
  const before = known?.entry.kind === "directory" ? undefined : known?.entry;
  if (known && before?.kind === "symlink") {
    if (equalStats(recorded, known.index * statWords, stat, 0)) {
      stats.set(stat, known.index * statWords);
      return void keepEntry(place, name);
    }
  }
  const target = readLink(visit.workspace.root, path);
  if (target === undefined) return refuse(place, path, "leads to a name that is not valid UTF-8");
  if (known && before?.kind === "symlink" && before.target === target) {
    const clock = visit.clock();
    if (clock && isSettled(stat, clock)) stats.set(stat, known.index * statWords);
    return void keepEntry(place, name);
  }
  if (symlinkEscapes(path, target)) {
    return refuse(place, path, `leads out of the working copy, to ${JSON.stringify(target)}`);
  }
  if (!before) checkName(place, name, path);
  addDifference(place, name, path, before, { kind: "symlink", name, target });
}

function addDifference(
  place: Place,
  name: string,
  path: string,
  before: Entry | undefined,
  after: ChangedFile | SymlinkEntry,
): void {
  const status = before ? "modified" : "added";
  place.visit.differences.push({ path, status, before, after });
  place.entries.push(after);
  place.isChanged = true;
  if (before) place.base.delete(name);
  else place.isComplete = false;
}
