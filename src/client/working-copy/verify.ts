/**
 * The fast part of a scan: which directories of the base stand on the disk just as recorded. Only
 * stats are compared, and no name becomes a string. Threads take runs of rows from one counter,
 * and whoever waits for the result does what the others took and have not done: so a thread that
 * starts late, or never, or dies on the way, does no harm.
 */
import type { State } from "../state.ts";
import { kindOfMode, statWords, type DirectoryReader } from "#native/directory.ts";
import { bytesToStat, equalStats } from "./stat.ts";

/** What threads share. */
export type VerifyJob = {
  /** The next id to take. */
  next: Int32Array;
  /** One byte for each run: 1 when all of it has been looked at. */
  done: Uint8Array;
  /** One byte for each id: 1 when the directory stands as recorded. */
  clean: Uint8Array;
  generation: number;
};

const idsPerRun = 64;

/** Prepares the verification of all rows up to an id. */
export function verifyJob(idMax: number, generation: number): VerifyJob {
  const count = idMax + 1;
  return {
    next: new Int32Array(new SharedArrayBuffer(4)),
    done: new Uint8Array(new SharedArrayBuffer(Math.ceil(count / idsPerRun))),
    clean: new Uint8Array(new SharedArrayBuffer(count)),
    generation,
  };
}

/** Verifies runs of rows until none is left to take. */
export function verifyRuns(state: State, reader: DirectoryReader, job: VerifyJob): void {
  const verifyRun = runVerifier(state, reader, job);
  for (;;) {
    const first = Atomics.add(job.next, 0, idsPerRun);
    if (first >= job.clean.length) return;
    verifyRun(first / idsPerRun);
  }
}

/** Verifies what another thread took and has not done yet, once there is nothing left to take. */
export function finishRuns(state: State, reader: DirectoryReader, job: VerifyJob): void {
  const verifyRun = runVerifier(state, reader, job);
  for (let run = 0; run < job.done.length; run++) {
    if (Atomics.load(job.done, run) === 0) verifyRun(run);
  }
}

function runVerifier(state: State, reader: DirectoryReader, { clean, done }: VerifyJob) {
  const query = state.database.query<Row, [number, number]>(
    "select id, path, encoded, stats, self from directories where id between ? and ?",
  );
  const scratch = { paths: Buffer.allocUnsafeSlow(64 * 1024), out: new Uint32Array(1024) };
  return (run: number) => {
    const first = run * idsPerRun;
    for (const row of query.values(first, first + idsPerRun - 1) as unknown as RowValues[]) {
      if (isAsRecorded(row, reader, scratch)) clean[row[0]] = 1;
    }
    Atomics.store(done, run, 1);
  };
}

type Row = { id: number };
type RowValues = [
  id: number,
  path: string,
  encoded: Uint8Array,
  stats: Uint8Array,
  self: Uint8Array,
];
type Scratch = { paths: Buffer; out: Uint32Array };

function isAsRecorded(row: RowValues, reader: DirectoryReader, scratch: Scratch): boolean {
  const [, path, encoded, stats, self] = row;
  if (self.length === 0) return false;
  const recorded = bytesToStat(stats);
  const gathered = gatherPaths(path, encoded, scratch);
  if (!gathered) return false;
  const { count, slots } = gathered;
  if (scratch.out.length < count * statWords) scratch.out = new Uint32Array(count * statWords * 2);
  const { out } = scratch;
  try {
    reader.stat(scratch.paths, count, out);
  } catch {
    // Whoever looks at the directory closely will say what is wrong with it.
    return false;
  }
  if (kindOfMode(out[0]!) !== "directory" || !equalStats(bytesToStat(self), 0, out, 0)) {
    return false;
  }
  for (let index = 1; index < count; index++) {
    if (!equalStats(recorded, slots[index]! * statWords, out, index * statWords)) return false;
  }
  return true;
}

/**
 * Writes the paths to stat: the directory, then its entries but for directories, which have rows
 * of their own. `slots` says which entry each path is. The encoding is read as core/tree.ts
 * describes it; one that is damaged gives paths that do not exist, and so a directory to look at.
 */
function gatherPaths(path: string, encoded: Uint8Array, scratch: Scratch) {
  const prefix = Buffer.from(path === "" ? "" : `${path}/`);
  // An entry takes at least three bytes, and none is longer than its encoding and the prefix.
  const most = prefix.length + 3 + encoded.length + Math.ceil(encoded.length / 3) * prefix.length;
  if (scratch.paths.length < most) scratch.paths = Buffer.allocUnsafeSlow(most * 2);
  const { paths } = scratch;
  let offset = path === "" ? paths.write(".") : copy(paths, 0, prefix, 0, prefix.length - 1);
  paths[offset++] = 0;
  const slots = [-1];
  let at = 0;
  for (let slot = 0; at < encoded.length; slot++) {
    const tag = encoded[at++]!;
    // A conflict is looked at closely, always.
    if (tag < 1 || tag > 4) return undefined;
    let length = encoded[at++]!;
    if (length >= 0x80) length = (length & 0x7f) | (encoded[at++]! << 7);
    if (tag !== 4) {
      offset = copy(paths, offset, prefix, 0, prefix.length);
      offset = copy(paths, offset, encoded, at, length);
      paths[offset++] = 0;
      slots.push(slot);
    }
    at += length;
    if (tag === 3) {
      length = encoded[at++]!;
      if (length >= 0x80) length = (length & 0x7f) | (encoded[at++]! << 7);
      at += length;
    } else {
      if (tag !== 4) while (encoded[at++]! >= 0x80);
      at += 32;
    }
  }
  return { count: slots.length, slots };
}

function copy(to: Uint8Array, at: number, from: Uint8Array, start: number, length: number): number {
  for (let index = 0; index < length; index++) to[at + index] = from[start + index]!;
  return at + length;
}
