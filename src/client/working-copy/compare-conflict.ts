/** Compares what stands for a conflict with how it was written: see conflict-records.ts. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { hasMarkers } from "#core/conflict-markers.ts";
import { equalHashes } from "#core/hash.ts";
import { statWords } from "#native/directory.ts";
import type { Place } from "./place.ts";
import { hashWorkingFile, readWorkingFile } from "./read.ts";
import { equalStats, isSettled, statSize, type Stat } from "./stat.ts";

// Who makes a conflict that large has written something else.
const markedBytesMax = 16 * 1024 * 1024;

/**
 * Tells whether the file at the path of a conflict is still the one with markers that was written
 * for it. One that was edited and has markers yet is noted: it is neither.
 */
export function isMarkedConflict(
  { visit, recorded, stats }: Place,
  path: string,
  index: number,
  stat: Stat,
): boolean {
  const record = visit.conflicts.get(path);
  const written = record?.files.find((file) => file.path === path)?.entry;
  if (written?.kind !== "file" || record?.markerLength === undefined) return false;
  const at = index * statWords;
  const { root } = visit.workspace;
  let isSame = equalStats(recorded, at, stat, 0);
  if (isSame) {
    stats.set(stat, at);
  } else if (statSize(stat) === written.size) {
    const hashed = hashWorkingFile(root, path);
    isSame = equalHashes(hashed.hash, written.hash);
    const clock = visit.clock();
    if (isSame && clock && isSettled(hashed.stat, clock)) stats.set(hashed.stat, at);
  }
  if (isSame) {
    visit.conflicted.push(path);
    return true;
  }
  if (statSize(stat) > markedBytesMax) return false;
  if (hasMarkers(readWorkingFile(root, path).bytes, record.markerLength)) {
    visit.conflicted.push(path);
    visit.unfinished.push(path);
  }
  return false;
}

/** Tells whether sides stand for a conflict yet, and nothing at its path. */
export function isStillConflict({ visit, entries }: Place, path: string, name: string): boolean {
  if (entries.some((entry) => entry.name === name)) return false;
  const { standIns = [] } = visit.conflicts.get(path) ?? {};
  const { root } = visit.workspace;
  return standIns.some((side) => lstatSync(join(root, side), { throwIfNoEntry: false }));
}
