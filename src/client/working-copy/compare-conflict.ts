/** Compares what stands for a conflict with how it was written: see conflict-records.ts. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { hasMarkers } from "#core/conflict-markers.ts";
import { equalHashes } from "#core/hash.ts";
import { markedFileBytesMax } from "#core/limits.ts";
import { baseName, parentPath } from "#core/path.ts";
import { mayBeOfSize } from "#core/placeholder.ts";
import { statWords } from "#native/directory.ts";
import type { Place } from "./place.ts";
import { hashWorkingFile, readWorkingFile } from "./read.ts";
import { equalStats, isSettled, statSize, type Stat } from "./stat.ts";

/**
 * Tells whether the file at the path of a conflict is still the one with markers that was written
 * for it. One that was edited and has markers yet is noted: it is neither. `index` is the
 * conflict's in the base, if that has it.
 */
export function isMarkedConflict(
  { visit, recorded, stats }: Place,
  path: string,
  index: number | undefined,
  stat: Stat,
): boolean {
  const record = visit.conflicts.get(path);
  const written = record?.files.find((file) => file.path === path)?.entry;
  if (written?.kind !== "file" || record?.markerLength === undefined) return false;
  const { root } = visit.workspace;
  const at = index === undefined ? undefined : index * statWords;
  let isSame = at !== undefined && equalStats(recorded, at, stat, 0);
  if (isSame) {
    stats.set(stat, at);
  } else if (mayBeOfSize(statSize(stat), written)) {
    const hashed = hashWorkingFile(root, path);
    isSame = equalHashes(hashed.hash, written.hash);
    const clock = visit.clock();
    if (at !== undefined && isSame && clock && isSettled(hashed.stat, clock)) {
      stats.set(hashed.stat, at);
    }
  }
  if (isSame) {
    visit.conflicted.push(path);
    return true;
  }
  if (statSize(stat) > markedFileBytesMax) return false;
  if (hasMarkers(readWorkingFile(root, path).bytes, record.markerLength)) {
    visit.conflicted.push(path);
    visit.unfinished.push(path);
  }
  return false;
}

/** Takes a conflict over that the base does not have: it came with what resolved another one. */
export function keepNewConflict(place: Place, path: string): void {
  place.entries.push(place.visit.conflicts.get(path)!.entry);
  place.isChanged = true;
  place.isComplete = false;
}

/** Takes such conflicts over whose sides stand in this directory. */
export function keepNewConflicts(place: Place): void {
  const { visit, path: directory, base } = place;
  for (const [path, { markerLength }] of visit.conflicts) {
    const name = baseName(path);
    if (parentPath(path) !== directory || base.has(name) || markerLength !== undefined) continue;
    if (!isStillConflict(place, path, name)) continue;
    visit.conflicted.push(path);
    keepNewConflict(place, path);
  }
}

/** Tells whether sides stand for a conflict yet, and nothing at its path. */
export function isStillConflict({ visit, entries }: Place, path: string, name: string): boolean {
  if (entries.some((entry) => entry.name === name)) return false;
  const { standIns = [] } = visit.conflicts.get(path) ?? {};
  const { root } = visit.workspace;
  return standIns.some((side) => lstatSync(join(root, side), { throwIfNoEntry: false }));
}
