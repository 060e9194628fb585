import { expect, test } from "bun:test";
import { equalHashes, fromHex, hashKey, keyHash, sha256, sha256Stream, toHex } from "#core/hash.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();
const bytesOf = (size: number) => Uint8Array.from({ length: size }, () => random() * 256);

test("SHA-256 agrees with the standard's examples", () => {
  expect(toHex(sha256(Buffer.from("abc")))).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  expect(toHex(sha256(new Uint8Array(0)))).toBe(
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});

test(`hashing in pieces is hashing at once (seed ${seed})`, () => {
  for (let round = 0; round < 50; round++) {
    const bytes = bytesOf(Math.floor(random() * 5000));
    const stream = sha256Stream();
    for (let start = 0; start < bytes.length;) {
      const end = start + Math.ceil(random() * 900);
      stream.update(bytes.subarray(start, end));
      start = end;
    }
    expect(equalHashes(stream.digest(), sha256(bytes))).toBe(true);
  }
});

test(`hexadecimal and keys name one hash each, and lead back to it (seed ${seed})`, () => {
  for (let round = 0; round < 200; round++) {
    const hash = bytesOf(32);
    expect(fromHex(toHex(hash))).toEqual(hash);
    expect(keyHash(hashKey(hash))).toEqual(hash);
    // A hash may be a view into a message.
    const message = Buffer.concat([bytesOf(7), hash, bytesOf(7)]);
    expect(hashKey(message.subarray(7, 39))).toBe(hashKey(hash));
    expect(toHex(message.subarray(7, 39))).toBe(toHex(hash));
  }
});

test("all byte values survive in a key", () => {
  const hash = Uint8Array.from({ length: 256 }, (_, index) => index);
  expect(hashKey(hash).length).toBe(256);
  expect(keyHash(hashKey(hash))).toEqual(hash);
});

test("what is not 64 lower-case hexadecimal digits is refused", () => {
  const good = "0123456789abcdef".repeat(4);
  for (const text of [
    "",
    good.slice(1),
    `${good}0`,
    good.toUpperCase(),
    `${good}\n`,
    `g${good.slice(1)}`,
  ]) {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: "usage" }));
  }
});

test("hashes are equal when all bytes are", () => {
  const hash = bytesOf(32);
  expect(equalHashes(hash, hash.slice())).toBe(true);
  expect(equalHashes(hash, hash.with(31, ~hash[31]!))).toBe(false);
  expect(equalHashes(hash, hash.subarray(1))).toBe(false);
});
