import { describe, expect, test } from "bun:test";
import { equalHashes, hashKey, sha256, toHex } from "#core/hash.ts";
import { decodeObject, encodeChunkList, encodeObject } from "#core/object.ts";
import { objectBytesMax } from "#core/limits.ts";
import type { ObjectStore, StoredObject } from "#server/store/store.ts";

/** A store under test, and how to damage what it holds behind its back. */
export type StoreUnderTest = AsyncDisposable & {
  store: ObjectStore;
  damage(hash: Uint8Array, change: (encoded: Uint8Array) => Uint8Array): Promise<void>;
};

/** Encodes contents and names them. */
export function objectOf(contents: Uint8Array | string): StoredObject {
  const raw = typeof contents === "string" ? Buffer.from(contents) : contents;
  return { hash: sha256(raw), encoded: encodeObject(raw) };
}

/** Declares the tests that every object store passes. */
export function objectStoreSuite(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    const flip = (encoded: Uint8Array) => encoded.with(encoded.length - 1, ~encoded.at(-1)!);

    test("what was put is there, to the byte", async () => {
      await using subject = await open();
      const { store } = subject;
      const sizes = [0, 1, 23, 24, 25, 4096, 65_511, 65_512, 65_513, 262_119, 262_120, 262_121];
      const objects = sizes.map((size) => objectOf(noise(size)));
      objects.push(objectOf("text ".repeat(50_000)), objectOf(noise(objectBytesMax)));
      await store.putAll(objects);
      for (const { hash, encoded } of objects) {
        expect(await store.has(hash)).toBe(true);
        const found = await store.get(hash);
        expect(Buffer.compare(found, encoded)).toBe(0);
        expect(equalHashes(sha256(decodeObject(hash, found)), hash)).toBe(true);
      }
      expect(await names(store)).toEqual(objects.map(({ hash }) => toHex(hash)).sort());
    });

    test("a chunk list is kept under the hash of the file", async () => {
      await using subject = await open();
      const hash = sha256(Buffer.from("a large file"));
      const encoded = encodeChunkList([{ hash: sha256(Buffer.from("chunk")), size: 5 }]);
      await subject.store.putAll([{ hash, encoded }]);
      expect(Buffer.compare(await subject.store.get(hash), encoded)).toBe(0);
    });

    test("an empty store holds nothing", async () => {
      await using subject = await open();
      const { hash } = objectOf("absent");
      expect(await names(subject.store)).toEqual([]);
      expect(await subject.store.has(hash)).toBe(false);
      await expect(subject.store.get(hash)).rejects.toMatchObject({ code: "not-found" });
      await subject.store.delete(hash);
      await subject.store.putAll([]);
      expect(await names(subject.store)).toEqual([]);
    });

    test("putting again changes nothing, in one call or several", async () => {
      await using subject = await open();
      const object = objectOf("twice");
      await subject.store.putAll([object, object]);
      await subject.store.putAll([object]);
      expect(await names(subject.store)).toEqual([toHex(object.hash)]);
      expect(Buffer.compare(await subject.store.get(object.hash), object.encoded)).toBe(0);
    });

    test("several puts at once all arrive", async () => {
      await using subject = await open();
      const { store } = subject;
      const puts = Array.from({ length: 8 }, (_, put) =>
        Array.from({ length: 40 }, (_, index) => objectOf(`${(put >> 1) * 40 + index}`)),
      );
      await Promise.all(puts.map((objects) => store.putAll(objects)));
      const expected = new Set(puts.flat().map(({ hash }) => toHex(hash)));
      expect(await names(store)).toEqual([...expected].sort());
    });

    test("what was deleted is gone", async () => {
      await using subject = await open();
      const [kept, deleted] = [objectOf("kept"), objectOf("deleted")];
      await subject.store.putAll([kept, deleted]);
      await subject.store.delete(deleted.hash);
      expect(await subject.store.has(deleted.hash)).toBe(false);
      expect(await names(subject.store)).toEqual([toHex(kept.hash)]);
    });

    test("what the caller does to its bytes afterwards does not matter", async () => {
      await using subject = await open();
      const object = objectOf("mine");
      const copy = object.encoded.slice();
      await subject.store.putAll([object]);
      object.encoded.fill(0);
      expect(Buffer.compare(await subject.store.get(object.hash), copy)).toBe(0);
    });

    test("bytes that are no object are refused before anything is kept", async () => {
      await using subject = await open();
      const [good, bad] = [objectOf("good"), objectOf("bad")];
      const put = subject.store.putAll([good, { hash: bad.hash, encoded: flip(bad.encoded) }]);
      await expect(put).rejects.toMatchObject({ code: "corrupt" });
      expect(await names(subject.store)).toEqual([]);
    });

    const damages: Record<string, (encoded: Uint8Array) => Uint8Array> = {
      "a flipped bit": flip,
      "a truncated payload": (encoded) => encoded.slice(0, -1),
      "a truncated header": (encoded) => encoded.slice(0, 10),
      "no bytes": () => new Uint8Array(0),
      "bytes too many": (encoded) => Buffer.concat([encoded, Buffer.from("x")]),
      "zeros where bytes were": (encoded) => new Uint8Array(encoded.length),
    };
    for (const [damageName, change] of Object.entries(damages)) {
      test(`${damageName}: get says corrupt and names the object, put replaces it`, async () => {
        await using subject = await open();
        const { store } = subject;
        const object = objectOf("soon damaged");
        await store.putAll([object]);
        await subject.damage(object.hash, change);
        expect(await store.has(object.hash)).toBe(false);
        await expect(store.get(object.hash)).rejects.toMatchObject({
          code: "corrupt",
          message: expect.stringContaining(toHex(object.hash)),
        });
        expect(await names(store)).toEqual([toHex(object.hash)]);
        await store.putAll([object]);
        expect(Buffer.compare(await store.get(object.hash), object.encoded)).toBe(0);
      });
    }
  });
}

/** Hashes that a store lists, in hexadecimal and sorted. */
export async function names(store: ObjectStore): Promise<string[]> {
  const found = new Set<string>();
  for await (const hash of store.list()) {
    expect(found.has(hashKey(hash))).toBe(false);
    found.add(toHex(hash));
  }
  return [...found].sort();
}

// Incompressible and always the same.
function noise(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = size + 1;
  for (let index = 0; index < size; index++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + index;
    bytes[index] = state >>> 13;
  }
  return bytes;
}
