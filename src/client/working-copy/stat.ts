/**
 * A recorded stat means: when the file's stat is exactly this, its contents are what is recorded
 * beside it. A file can change again within one tick of its file system's clock and keep its
 * stat, so a stat is recorded only when the clock, read before the contents were, had moved on.
 * An untrusted stat is all zeros and equals nothing.
 */
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { packStat, statWords } from "#native/directory.ts";

/** `statWords` words; see native/directory.ts. */
export type Stat = Uint32Array;

export const untrustedStat: Stat = new Uint32Array(statWords);

// Linux ticks at 100 Hz or faster; a file system that counts whole seconds may count two at once.
const tickNs = 20_000_000;
const coarseTickS = 2;

/** Time on the file system's own clock, which need not be ours. */
export type Clock = { seconds: number; nanoseconds: number };

/** Reads the clock of the file system that holds the directory, or nothing if it is read-only. */
export function readClock(controlDirectory: string): Clock | undefined {
  try {
    const descriptor = openSync(join(controlDirectory, "clock"), "w", 0o666);
    try {
      writeSync(descriptor, "\n");
      const stat = new Uint32Array(statWords);
      packStat(fstatSync(descriptor, { bigint: true }), stat);
      return { seconds: stat[5]!, nanoseconds: stat[6]! };
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}

/** Tells whether a stat is older than the clock by more than its granularity. */
export function isSettled(stat: Stat, clock: Clock): boolean {
  return isBefore(stat[5]!, stat[6]!, clock) && isBefore(stat[7]!, stat[8]!, clock);
}

/** Tells whether two stats are the same, and so is what they stand for. */
export function equalStats(a: Stat, aWord: number, b: Stat, bWord: number): boolean {
  if (a[aWord] === 0) return false;
  for (let word = 0; word < statWords; word++) {
    if (a[aWord + word] !== b[bWord + word]) return false;
  }
  return true;
}

/** Size that a stat records. */
export function statSize(stat: Stat, word = 0): number {
  return stat[word + 1]! + stat[word + 2]! * 2 ** 32;
}

/** Any execute bit makes a file executable. */
export function isExecutable(mode: number): boolean {
  return (mode & 0o111) !== 0;
}

/** The words of a stat as bytes, to be stored. */
export function statToBytes(stat: Stat): Uint8Array {
  return new Uint8Array(stat.buffer, stat.byteOffset, stat.byteLength);
}

/** Stored bytes as words. */
export function bytesToStat(bytes: Uint8Array): Stat {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}

function isBefore(seconds: number, nanoseconds: number, clock: Clock): boolean {
  if (nanoseconds === 0 && clock.nanoseconds === 0) return seconds + coarseTickS < clock.seconds;
  if (nanoseconds === 0 && clock.seconds - seconds <= coarseTickS) return false;
  const elapsed = (clock.seconds - seconds) * 1e9 + clock.nanoseconds - nanoseconds;
  return elapsed > tickNs;
}
