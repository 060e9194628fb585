/**
 * How much of one file is in another: both are cut into lines (long ones into pieces), and the
 * share of bytes in pieces that both have is the similarity, from 0 to 1.
 */
import { isText } from "./text.ts";

/** A file's pieces: hashes in ascending order, and the bytes that each stands for. */
export type Pieces = { size: number; hashes: Uint32Array; weights: Uint32Array };

const pieceBytesMax = 64;
const newline = 10;
const carriageReturn = 13;

/** Tells how alike two files are, from 0 to 1. */
export function similarity(a: Uint8Array, b: Uint8Array): number {
  return piecesSimilarity(cutPieces(a), cutPieces(b));
}

/** Cuts a file into pieces, once for all the comparisons it takes part in. */
export function cutPieces(bytes: Uint8Array): Pieces {
  const text = isText(bytes);
  let hashes = new Uint32Array(Math.max(16, bytes.length >> 4));
  let lengths = new Uint8Array(hashes.length);
  let count = 0;
  let hash = 0;
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    // A file whose line endings were converted is the same text.
    if (text && byte === carriageReturn && bytes[at + 1] === newline) continue;
    hash = Math.imul(hash ^ byte, 0x01000193) ^ (hash >>> 15);
    length++;
    if (length < pieceBytesMax && byte !== newline && at + 1 < bytes.length) continue;
    if (count === hashes.length) {
      hashes = grow(hashes, new Uint32Array(count * 2));
      lengths = grow(lengths, new Uint8Array(count * 2));
    }
    hashes[count] = hash >>> 0;
    lengths[count++] = length;
    hash = 0;
    length = 0;
  }
  return gather(bytes.length, hashes.subarray(0, count), lengths);
}

/** Tells how alike two files are by their pieces. */
export function piecesSimilarity(a: Pieces, b: Pieces): number {
  const larger = Math.max(a.size, b.size);
  if (larger === 0) return 1;
  let shared = 0;
  let atA = 0;
  let atB = 0;
  while (atA < a.hashes.length && atB < b.hashes.length) {
    const hashA = a.hashes[atA]!;
    const hashB = b.hashes[atB]!;
    if (hashA === hashB) shared += Math.min(a.weights[atA]!, b.weights[atB]!);
    if (hashA <= hashB) atA++;
    if (hashB <= hashA) atB++;
  }
  return Math.min(1, shared / larger);
}

function grow<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Sorts pieces by hash and adds up those that are equal. */
function gather(size: number, found: Uint32Array, lengths: Uint8Array): Pieces {
  const order = new Float64Array(found.length);
  // One number holds both: the hash above, the length in the low byte.
  for (let at = 0; at < found.length; at++) order[at] = found[at]! * 256 + lengths[at]!;
  order.sort();
  const hashes = new Uint32Array(found.length);
  const weights = new Uint32Array(found.length);
  let count = 0;
  for (const value of order) {
    const hash = Math.floor(value / 256);
    if (count === 0 || hashes[count - 1] !== hash) hashes[count++] = hash;
    weights[count - 1]! += value % 256;
  }
  return { size, hashes: hashes.slice(0, count), weights: weights.slice(0, count) };
}
