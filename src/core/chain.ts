/**
 * Records that are numbered without gaps and each bound to the one before by a hash: who has the
 * hash of one can tell whether anything up to it was altered, taken out or put elsewhere.
 */
import { equalHashes, type Hash } from "./hash.ts";

/** A record as far as its chain is concerned, or the place of one. */
export type Link = { number: number; hash: Hash };

export type Chain<Record extends Link> = {
  /** What a record is called. */
  noun: string;
  /** The last record, as it is told elsewhere. */
  head: Link;
  /** A record that was found right before. */
  known: Link | undefined;
  /** What comes before the first record that is left. Asked for last. */
  start(): Link;
  hashAfter(previous: Hash, record: Record): Hash;
  describe(record: Record): string;
};

/**
 * Computes all hashes again, of records from the newest to the oldest. Returns what is wrong with
 * the oldest record that something is wrong with, or nothing.
 */
export async function findBreak<Record extends Link>(
  records: AsyncIterable<Record>,
  { noun, head, known, start, hashAfter, describe }: Chain<Record>,
): Promise<string | undefined> {
  const mismatch = (record: Record, previous: Hash) => {
    if (equalHashes(hashAfter(previous, record), record.hash)) return undefined;
    return `${describe(record)} does not match its hash`;
  };
  let problem: string | undefined;
  if (known && head.number < known.number) {
    problem = `${noun} ${known.number}, which was verified here before, is not there any more`;
  }
  let above: Record | undefined;
  for await (const record of records) {
    const { number, hash } = record;
    const expected = (above?.number ?? head.number + 1) - 1;
    // One that goes up may go on for ever.
    if (number > expected) return `${noun} ${number} stands where ${expected} should be`;
    // What is found later comes before what was found.
    if (number < expected) problem = `${noun} ${number + 1} is missing`;
    else if (above) problem = mismatch(above, hash) ?? problem;
    if (number === head.number && !equalHashes(hash, head.hash)) {
      problem = `${describe(record)} is not the one that the log ends with`;
    }
    if (number === known?.number && !equalHashes(hash, known.hash)) {
      problem = `${describe(record)} is another than was verified here before`;
    }
    above = record;
  }
  const before = start();
  const first = above?.number ?? head.number + 1;
  if (first > before.number + 1) return `${noun} ${first - 1} is missing`;
  if (above && first === before.number + 1) problem = mismatch(above, before.hash) ?? problem;
  return problem;
}
