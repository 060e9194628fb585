import { describe, expect, test } from "bun:test";
import { chunkLength, followChunks, splitChunks } from "#core/chunk.ts";
import { hashKey, sha256, toHex } from "#core/hash.ts";
import { chunkBytesAverage, chunkBytesMax, chunkBytesMin } from "#core/limits.ts";
import type { Chunk } from "#core/object.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();
const label = `(seed ${seed})`;
const mib = 1024 * 1024;

describe("chunks", () => {
  test("the cuts of a known stream never change", () => {
    const bytes = noise(12 * mib, 1);
    const lengths = sizesOf(bytes);
    expect(toHex(sha256(Buffer.from(lengths.join())))).toMatchInlineSnapshot(
      `"5047d6a245874d3ef0943982b637fb6341dbfafed21ba931a4690391097c18ea"`,
    );
    expect(lengths.reduce((sum, length) => sum + length)).toBe(bytes.length);
  });

  test("sizes keep to their bounds and around the average", () => {
    const lengths = sizesOf(noise(64 * mib, 2));
    for (const length of lengths.slice(0, -1)) {
      expect(length).toBeGreaterThan(chunkBytesMin);
      expect(length).toBeLessThanOrEqual(chunkBytesMax);
    }
    const mean = (64 * mib) / lengths.length;
    expect(mean).toBeGreaterThan(0.8 * chunkBytesAverage);
    expect(mean).toBeLessThan(1.5 * chunkBytesAverage);
  });

  test("at the bounds: nothing, one byte, the minimum, the maximum, one more", () => {
    const zeros = new Uint8Array(chunkBytesMax + 1);
    const cases: [number, number[]][] = [
      [0, []],
      [1, [1]],
      [chunkBytesMin, [chunkBytesMin]],
      [chunkBytesMin + 1, [chunkBytesMin + 1]],
      [chunkBytesMax, [chunkBytesMax]],
      [chunkBytesMax + 1, [chunkBytesMax, 1]],
    ];
    for (const [size, sizes] of cases) expect(sizesOf(zeros.subarray(0, size))).toEqual(sizes);
  });

  test(`how the bytes arrive does not matter ${label}`, () => {
    const bytes = noise(20 * mib, 3);
    const expected = sizesOf(bytes);
    let offset = 0;
    const found: number[] = [];
    const joined: Uint8Array[] = [];
    const read = (into: Uint8Array) => {
      const count = Math.min(into.length, bytes.length - offset, 1 + Math.floor(random() * mib));
      into.set(bytes.subarray(offset, offset + count));
      offset += count;
      return count;
    };
    for (const chunk of splitChunks(read)) {
      found.push(chunk.length);
      joined.push(chunk.slice());
    }
    expect(found).toEqual(expected);
    expect(Buffer.compare(Buffer.concat(joined), bytes)).toBe(0);
  });

  test(`an insertion, a deletion, an edit: all but a few chunks stay ${label}`, () => {
    const bytes = noise(32 * mib, 4);
    const before = keysOf(bytes);
    const at = Math.floor(random() * (bytes.length - mib));
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    const edited = bytes.slice();
    edited.fill(7, at, at + 100);
    const changes = [Buffer.concat([head, Buffer.from("inserted"), tail]), edited];
    changes.push(Buffer.concat([head, tail.subarray(1000)]));
    for (const changed of changes) {
      const added = keysOf(changed).difference(before);
      expect(added.size).toBeLessThanOrEqual(5);
    }
  });

  test(`a file that follows a known one is cut as it would be without ${label}`, () => {
    const bytes = noise(32 * mib, 5);
    const known = chunksOf(bytes);
    const at = Math.floor(random() * (bytes.length - 2 * mib));
    const changed = Buffer.concat([
      bytes.subarray(0, at),
      noise(mib, 6),
      bytes.subarray(at + 1000, -mib),
      bytes.subarray(0, mib),
    ]);
    for (const list of [known, [], chunksOf(changed), known.toReversed()]) {
      expect(chunksOf(changed, followChunks(list))).toEqual(chunksOf(changed));
    }
  });

  test("a file that was cut otherwise stays cut so where it is the same", () => {
    const bytes = noise(8 * mib, 7);
    const halves = [0, 1, 2, 3].map((index) => {
      return {
        hash: sha256(bytes.subarray(index * 2 * mib, (index + 1) * 2 * mib)),
        size: 2 * mib,
      };
    });
    expect(chunksOf(bytes, followChunks(halves))).toEqual(halves);
  });
});

function chunksOf(bytes: Uint8Array, next = followChunks([])): Chunk[] {
  const chunks: Chunk[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const chunk = next(rest.subarray(0, chunkBytesMax));
    chunks.push(chunk);
    rest = rest.subarray(chunk.size);
  }
  return chunks;
}

function sizesOf(bytes: Uint8Array): number[] {
  const sizes: number[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const length = chunkLength(rest);
    sizes.push(length);
    rest = rest.subarray(length);
  }
  return sizes;
}

function keysOf(bytes: Uint8Array): Set<string> {
  let offset = 0;
  const keys = sizesOf(bytes).map((size) => {
    offset += size;
    return hashKey(sha256(bytes.subarray(offset - size, offset)));
  });
  return new Set(keys);
}

// Xorshift: the same on every machine.
function noise(size: number, start: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = start * 0x9e3779b1;
  for (let index = 0; index < size; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}
