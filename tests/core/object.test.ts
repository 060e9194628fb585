import { describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { isPogoError } from "#core/errors.ts";
import { sha256 } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import {
  decodeChunkList,
  decodeObject,
  encodeChunkList,
  encodeObject,
  inspectObject,
  objectHeaderBytes,
} from "#core/object.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();
const label = `(seed ${seed})`;

describe("object", () => {
  test("its header has the layout that the format says", () => {
    const encoded = encodeObject(Buffer.from("hello"));
    const magicAndCodec = "50474f31" + "00000000";
    // XXH64 of "hello" is 26c7827d889f6da3.
    const sizeAndChecksum = "0500000000000000" + "a36d9f887d82c726";
    expect(Buffer.from(encoded).toString("hex")).toBe(
      magicAndCodec + sizeAndChecksum + "68656c6c6f",
    );
  });

  test(`any contents come back, under any codec ${label}`, () => {
    const sizes = [0, 1, 2, 63, 64, 65, 255, 256, 511, 65_791, 65_792, 600_000, objectBytesMax];
    for (const size of [...sizes, ...Array.from({ length: 20 }, () => below(100_000))]) {
      for (const variety of [1, 7, 256]) {
        const raw = bytesOf(size, variety);
        for (const codec of ["zstd", "deflate", "raw"] as const) {
          const encoded = encodeObject(raw, codec);
          expect(encoded.length).toBeLessThanOrEqual(objectHeaderBytes + size);
          expect(inspectObject(encoded).rawSize).toBe(size);
          expect(Buffer.compare(decodeObject(sha256(raw), encoded), raw)).toBe(0);
        }
      }
    }
  });

  test("contents that compression does not shrink by a tenth are stored raw", () => {
    const cases: [Uint8Array, string][] = [
      [bytesOf(100_000, 256), "raw"],
      [bytesOf(2_000_000, 256), "raw"],
      [bytesOf(100_000, 2), "zstd"],
      [bytesOf(2_000_000, 2), "zstd"],
      [Buffer.alloc(40), "raw"],
      [new Uint8Array(0), "raw"],
    ];
    for (const [raw, codec] of cases)
      expect(inspectObject(encodeObject(raw)).codec).toBe(codec as never);
  });

  test("more than one object's worth is a bug of the caller", () => {
    expect(() => encodeObject(new Uint8Array(objectBytesMax + 1))).toThrow("too large");
  });

  test(`one flipped bit anywhere is found without decompressing ${label}`, () => {
    for (const raw of [bytesOf(300, 3), bytesOf(300, 256)]) {
      const encoded = encodeObject(raw);
      for (let offset = 0; offset < encoded.length; offset++) {
        for (const bit of offset < objectHeaderBytes ? [0, 1, 2, 3, 4, 5, 6, 7] : [below(8)]) {
          const flipped = encoded.with(offset, encoded[offset]! ^ (1 << bit));
          // Of the header, what is left is codec and size: decoding finds those.
          expectCorrupt(() => decodeObject(sha256(raw), flipped));
          if (offset >= 16) expectCorrupt(() => inspectObject(flipped));
        }
      }
    }
  });

  test("a cut or lengthened object is found without decompressing", () => {
    const encoded = encodeObject(bytesOf(300, 3));
    for (let length = 0; length < encoded.length; length++) {
      expectCorrupt(() => inspectObject(encoded.subarray(0, length)));
    }
    expectCorrupt(() => inspectObject(Buffer.concat([encoded, encoded])));
  });

  test("other contents than the hash names are refused", () => {
    expectCorrupt(() => decodeObject(sha256(Buffer.from("a")), encodeObject(Buffer.from("b"))));
  });
});

describe("decompression", () => {
  const zeros = new Uint8Array(objectBytesMax);
  const small = Buffer.from("small ".repeat(20));

  test("a second frame is refused before it is decompressed", () => {
    const bomb = Bun.zstdCompressSync(new Uint8Array(64 * 1024 * 1024));
    const frames = Buffer.concat([Bun.zstdCompressSync(zeros), bomb]);
    refused(forge(1, objectBytesMax, frames));
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0]);
    refused(forge(1, small.length, Buffer.concat([skippable, Bun.zstdCompressSync(small)])));
    refused(forge(1, small.length, Buffer.concat([Bun.zstdCompressSync(small), skippable])));
  });

  test("a frame that declares another size than the header, or none, is refused", () => {
    const frame = Bun.zstdCompressSync(zeros);
    refused(forge(1, objectBytesMax - 1, frame));
    refused(forge(1, objectBytesMax + 1, frame));
    const lying = Buffer.from(frame);
    lying.writeUInt32LE(1000, 5);
    refused(forge(1, 1000, lying));
    const unsized = Buffer.from(frame);
    unsized[4] = 0;
    refused(forge(1, objectBytesMax, unsized));
  });

  test("deflate stops at the declared size", () => {
    const bomb = deflateRawSync(new Uint8Array(64 * 1024 * 1024));
    refused(forge(2, objectBytesMax, bomb));
    refused(forge(2, bomb.length, bomb));
    refused(forge(2, objectBytesMax, deflateRawSync(new Uint8Array(objectBytesMax - 1))));
  });

  test("sizes beyond an object are refused, whatever the payload", () => {
    for (const codec of [0, 1, 2]) {
      for (const size of [objectBytesMax + 1, 2 ** 32, 2 ** 53, 2 ** 63]) {
        refused(forge(codec, size, new Uint8Array(100)));
      }
    }
  });

  test(`a payload of garbage is corrupt, never anything else ${label}`, () => {
    const good = Buffer.from(Bun.zstdCompressSync(bytesOf(3000, 5)));
    for (let round = 0; round < 3000; round++) {
      const payload = Buffer.from(good.subarray(0, 1 + below(good.length)));
      for (let flips = below(4); flips >= 0; flips--) payload[below(payload.length)] = below(256);
      refused(forge(1 + below(2), round % 2 === 0 ? 3000 : below(5000), payload));
    }
  });

  function refused(encoded: Uint8Array): void {
    expectCorrupt(() => decodeObject(sha256(small), encoded));
  }
});

describe("chunk list", () => {
  const chunk = (text: string, size: number) => ({ hash: sha256(Buffer.from(text)), size });

  test("a list comes back in its order", () => {
    const chunks = [chunk("b", 1), chunk("a", objectBytesMax), chunk("b", 1)];
    const encoded = encodeChunkList(chunks);
    expect(inspectObject(encoded)).toMatchObject({ codec: "chunks", rawSize: objectBytesMax + 2 });
    expect(decodeChunkList(encoded)).toEqual(chunks);
  });

  test("a file of more than 4 GiB is counted right", () => {
    const chunks = Array.from({ length: 3000 }, (_, index) => chunk(String(index), 4_000_000));
    expect(inspectObject(encodeChunkList(chunks)).rawSize).toBe(12_000_000_000);
    expect(decodeChunkList(encodeChunkList(chunks))).toEqual(chunks);
  });

  test("a list is no contents, and contents are no list", () => {
    const list = encodeChunkList([chunk("a", 1)]);
    expectCorrupt(() => decodeObject(sha256(Buffer.from("a")), list));
    expectCorrupt(() => decodeChunkList(encodeObject(Buffer.from("a"))));
  });

  test("a list that is empty, cut off or adds up to another size is refused", () => {
    const entry = Buffer.alloc(36, 1);
    entry.writeUInt32LE(10, 32);
    const empty = Buffer.from(entry).fill(0, 32);
    const large = Buffer.from(entry);
    large.writeUInt32LE(objectBytesMax + 1, 32);
    expect(decodeChunkList(forge(3, 10, entry)).length).toBe(1);
    expectCorrupt(() => decodeChunkList(forge(3, 0, new Uint8Array(0))));
    expectCorrupt(() => decodeChunkList(forge(3, 10, entry.subarray(1))));
    expectCorrupt(() => decodeChunkList(forge(3, 11, entry)));
    expectCorrupt(() => decodeChunkList(forge(3, 0, empty)));
    expectCorrupt(() => decodeChunkList(forge(3, objectBytesMax + 1, large)));
    expectCorrupt(() => decodeChunkList(forge(3, 2 ** 60, entry)));
  });
});

/** An object with a right checksum that says whatever it likes. */
function forge(codec: number, rawSize: number, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(objectHeaderBytes);
  header.write("PGO1");
  header[4] = codec;
  header.writeBigUInt64LE(BigInt(rawSize), 8);
  header.writeBigUInt64LE(Bun.hash.xxHash64(payload), 16);
  return Buffer.concat([header, payload]);
}

function expectCorrupt(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (isPogoError(error, "corrupt")) return;
    throw error;
  }
  throw new Error(`was not refused ${label}`);
}

function below(bound: number): number {
  return Math.floor(random() * bound);
}

function bytesOf(size: number, variety: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = random() * variety;
  return bytes;
}
