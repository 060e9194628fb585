/**
 * Content-defined chunking: FastCDC (Xia et al., USENIX ATC 2016) with a gear hash of 32 bits and
 * normalized chunking of level 1. A cut depends on the 32 bytes before it and on where the chunk
 * began, so an insertion changes the chunks around it and no others.
 *
 * Where files are cut decides which chunks two versions share, and nothing else: chunk lists made
 * with other parameters stay readable, they only share less with those made here.
 */
import { equalHashes, hashKey, sha256 } from "./hash.ts";
import { chunkBytesAverage, chunkBytesMax, chunkBytesMin } from "./limits.ts";
import type { Chunk } from "./object.ts";

// Bits of the hash that must be zero at a cut: one more than the average asks for up to the
// average, one fewer beyond it. The upper bits are those that all 32 bytes have a say in. With two
// the sizes would vary less, but it takes longer until the cuts after an edit are the old ones.
const averageBits = Math.log2(chunkBytesAverage);
const strictMask = -1 << (32 - averageBits - 1);
const looseMask = -1 << (32 - averageBits + 1);
const gear = gearTable();

/** Length of the first chunk of `bytes`, which hold `chunkBytesMax` bytes or all there are. */
export function chunkLength(bytes: Uint8Array): number {
  const end = Math.min(bytes.length, chunkBytesMax);
  if (end <= chunkBytesMin) return end;
  const middle = Math.min(end, chunkBytesAverage);
  // Two loops instead of one with a variable mask: this is the hot path of every large file.
  let print = 0;
  let offset = chunkBytesMin;
  for (; offset < middle; offset++) {
    print = ((print << 1) + gear[bytes[offset]!]!) | 0;
    if ((print & strictMask) === 0) return offset + 1;
  }
  for (; offset < end; offset++) {
    print = ((print << 1) + gear[bytes[offset]!]!) | 0;
    if ((print & looseMask) === 0) return offset + 1;
  }
  return end;
}

/**
 * Finds the first chunk of bytes as `chunkLength` does, call for call, where another file is known
 * to be alike: as long as the chunks are that one's, in its order, they are hashed and not cut,
 * which takes much longer.
 */
export function followChunks(known: readonly Chunk[]): (bytes: Uint8Array) => Chunk {
  const following = new Map<string, Chunk | undefined>();
  for (const [index, { hash }] of known.entries()) {
    const key = hashKey(hash);
    if (!following.has(key)) following.set(key, known[index + 1]);
  }
  let expected = known[0];
  return (bytes) => {
    let size = expected?.size ?? 0;
    let hash = expected && bytes.length >= size ? sha256(bytes.subarray(0, size)) : undefined;
    if (!expected || !hash || !equalHashes(hash, expected.hash)) {
      size = chunkLength(bytes);
      hash = sha256(bytes.subarray(0, size));
    }
    expected = following.get(hashKey(hash));
    return { hash, size };
  };
}

/**
 * Splits what `read` yields into chunks. `read` fills a part of the buffer that it is given and
 * says how much, 0 at the end. A chunk is a view that is valid until the next one is asked for.
 */
export function* splitChunks(
  read: (into: Uint8Array) => number,
  lengthOf: (bytes: Uint8Array) => number = chunkLength,
): Generator<Uint8Array> {
  const buffer = new Uint8Array(2 * chunkBytesMax);
  let start = 0;
  let end = 0;
  let isAtEnd = false;
  while (true) {
    if (!isAtEnd && end - start < chunkBytesMax) {
      buffer.copyWithin(0, start, end);
      end -= start;
      start = 0;
      while (!isAtEnd && end < buffer.length) {
        const count = read(buffer.subarray(end));
        isAtEnd = count === 0;
        end += count;
      }
    }
    if (start === end) return;
    const length = lengthOf(buffer.subarray(start, Math.min(end, start + chunkBytesMax)));
    yield buffer.subarray(start, start + length);
    start += length;
  }
}

// SHA-256 of "pogo gear 0" to "pogo gear 31", eight big-endian words each.
function gearTable(): Int32Array {
  const table = new Int32Array(256);
  for (let block = 0; block < 32; block++) {
    const digest = sha256(Buffer.from(`pogo gear ${block}`));
    const words = new DataView(digest.buffer, digest.byteOffset, digest.length);
    for (let word = 0; word < 8; word++) table[block * 8 + word] = words.getInt32(word * 4);
  }
  return table;
}
