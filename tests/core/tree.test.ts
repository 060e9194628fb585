import { describe, expect, test } from "bun:test";
import { isPogoError } from "#core/errors.ts";
import { sha256, toHex } from "#core/hash.ts";
import {
  compareNames,
  decodeTree,
  emptyTreeHash,
  encodeTree,
  equalEntries,
  treeHash,
  verifyTree,
  type Entry,
} from "#core/tree.ts";
import { nameProblem } from "#core/path.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();
const label = `(seed ${seed})`;
const hash = sha256(Buffer.from("contents"));

describe("order of names", () => {
  test(`is the order of their UTF-8 bytes ${label}`, () => {
    for (let round = 0; round < 5000; round++) {
      const [a, b] = [randomName(), randomName()];
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect([a, b, Math.sign(compareNames(a, b))]).toEqual([a, b, expected]);
    }
  });

  test("puts characters beyond U+FFFF last, and a prefix first", () => {
    expect(["😀", "\uffee", "a", "aa", "é", "A"].sort(compareNames)).toEqual([
      "A",
      "a",
      "aa",
      "é",
      "\uffee",
      "😀",
    ]);
  });
});

describe("tree", () => {
  test("has the encoding that the format says", () => {
    const entries: Entry[] = [
      { kind: "symlink", name: "l", target: "d/x" },
      { kind: "file", name: "f", executable: false, size: 300, hash },
      { kind: "directory", name: "d", hash },
      { kind: "file", name: "e", executable: true, size: 0, hash },
    ];
    const hex = toHex(hash);
    const encoded = encodeTree(entries);
    expect(toHex(encoded)).toBe(
      `040164${hex}` +
        `02016500${hex}` +
        `010166ac02${hex}` +
        `03016c03${toHex(Buffer.from("d/x"))}`,
    );
    expect(treeHash(encoded)).toEqual(
      sha256(Buffer.concat([Buffer.from("pogo tree 1\0"), encoded])),
    );
  });

  test("without entries is empty", () => {
    expect(encodeTree([]).length).toBe(0);
    expect(decodeTree(new Uint8Array(0))).toEqual([]);
    expect(verifyTree(emptyTreeHash, new Uint8Array(0))).toEqual([]);
  });

  test(`comes back, sorted, whatever order it was given in ${label}`, () => {
    for (let round = 0; round < 300; round++) {
      const entries = randomEntries(Math.floor(random() * 30));
      const encoded = encodeTree(entries);
      const decoded = decodeTree(encoded);
      const sorted = [...entries].sort((a, b) => compareNames(a.name, b.name));
      expect(decoded).toEqual(sorted);
      expect(Buffer.compare(encodeTree(decoded.reverse()), encoded)).toBe(0);
      expect(verifyTree(treeHash(encoded), encoded).length).toBe(entries.length);
    }
  });

  test(`has one encoding: damaged bytes are corrupt, or what they say is what is written ${label}`, () => {
    let refused = 0;
    for (let round = 0; round < 4000; round++) {
      const encoded = Buffer.from(encodeTree(randomEntries(1 + Math.floor(random() * 4))));
      const damaged = damage(encoded);
      try {
        const entries = decodeTree(damaged);
        expect(Buffer.compare(encodeTree(entries), damaged)).toBe(0);
        for (const { name } of entries) expect(nameProblem(name)).toBe(undefined);
      } catch (error) {
        if (!isPogoError(error, "corrupt")) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });

  test("with two entries of one name is a bug to encode and corrupt to decode", () => {
    const entry: Entry = { kind: "file", name: "a", executable: false, size: 1, hash };
    expect(() => encodeTree([entry, { ...entry }])).toThrow("two tree entries");
    const one = encodeTree([entry]);
    expectCorrupt(() => decodeTree(Buffer.concat([one, one])));
  });

  test("with names out of order, unsafe or not UTF-8 is corrupt", () => {
    const directory = (name: Uint8Array | string) => {
      const bytes = Buffer.from(name as string);
      return Buffer.concat([Buffer.from([4, bytes.length]), bytes, hash]);
    };
    expect(decodeTree(directory("ok")).length).toBe(1);
    expectCorrupt(() => decodeTree(Buffer.concat([directory("b"), directory("a")])));
    const names = [
      "",
      ".",
      "..",
      "a/b",
      ".pogo",
      "a\0",
      Buffer.from([0xff]),
      Buffer.from([0xed, 0xa0, 0x80]),
    ];
    for (const name of names) expectCorrupt(() => decodeTree(directory(name)));
    // A byte order mark is a part of the name, not a hint to a decoder.
    expect(decodeTree(directory("\ufeffa"))[0]?.name).toBe("\ufeffa");
  });

  test("with a symlink that is absolute or empty is corrupt", () => {
    for (const target of ["", "/etc", "C:\\x", "a\0b"]) {
      expectCorrupt(() => decodeTree(encodeTree([{ kind: "symlink", name: "l", target }])));
    }
  });

  test("with numbers that are not canonical or too large is corrupt", () => {
    const file = (size: number[]) => Buffer.concat([Buffer.from([1, 1, 0x61, ...size]), hash]);
    expect(decodeTree(file([0x80, 1]))[0]).toMatchObject({ size: 128 });
    const largest = [255, 255, 255, 255, 255, 255, 255, 15];
    expect(decodeTree(file(largest))[0]).toMatchObject({ size: Number.MAX_SAFE_INTEGER });
    for (const size of [
      [0x80, 0],
      [0x80, 0x80, 0],
      [255, 255, 255, 255, 255, 255, 255, 16],
    ]) {
      expectCorrupt(() => decodeTree(file(size)));
    }
    expectCorrupt(() => decodeTree(file(new Array(12).fill(0x80))));
  });

  test("is not taken for a file's contents, nor for another tree", () => {
    const encoded = encodeTree([{ kind: "directory", name: "d", hash }]);
    expectCorrupt(() => verifyTree(sha256(encoded), encoded));
    expectCorrupt(() => verifyTree(emptyTreeHash, encoded));
  });

  test("entries are equal when they say the same", () => {
    const file: Entry = { kind: "file", name: "a", executable: false, size: 8, hash };
    const other = sha256(Buffer.from("other"));
    const link: Entry = { kind: "symlink", name: "a", target: "b" };
    const directory: Entry = { kind: "directory", name: "a", hash };
    const all: Entry[] = [file, { ...file, executable: true }, { ...file, hash: other }];
    all.push(link, { ...link, target: "c" }, directory, { ...directory, hash: other });
    for (const [x, a] of all.entries()) {
      for (const [y, b] of all.entries()) {
        expect([x, y, equalEntries(a, structuredClone(b))]).toEqual([x, y, x === y]);
      }
    }
  });
});

function randomName(): string {
  const letters = ["a", "b", "B", ".", "é", "日", "\uffee", "😀", "𐀀", "\ud7ff", "\ue000", " "];
  const length = 1 + Math.floor(random() * 5);
  return Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join("");
}

function randomEntries(count: number): Entry[] {
  const entries = new Map<string, Entry>();
  for (let index = 0; index < count; index++) {
    const name = `${randomName()}${random() < 0.05 ? "x".repeat(200) : ""}x`;
    const kind = Math.floor(random() * 3);
    const bytes = Uint8Array.from({ length: 32 }, () => random() * 256);
    if (kind === 0) entries.set(name, { kind: "directory", name, hash: bytes });
    else if (kind === 1) entries.set(name, { kind: "symlink", name, target: randomName() });
    else {
      const size = Math.floor(random() ** 8 * Number.MAX_SAFE_INTEGER);
      entries.set(name, { kind: "file", name, executable: random() < 0.5, size, hash: bytes });
    }
  }
  return [...entries.values()];
}

function damage(bytes: Buffer): Buffer {
  const at = Math.floor(random() * bytes.length);
  const how = random();
  if (how < 0.2) return bytes.subarray(0, at);
  if (how < 0.4) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
  const damaged = Buffer.from(bytes);
  damaged[how < 0.7 ? at : Math.min(at, 3)] = Math.floor(random() * 256);
  return damaged;
}

function expectCorrupt(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (isPogoError(error, "corrupt")) return;
    throw error;
  }
  throw new Error("was not refused");
}
