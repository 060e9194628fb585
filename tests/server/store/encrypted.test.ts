import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";

import { hashKey, toHex } from "#core/hash.ts";
import { decodeObject, encodeSealed, inspectObject } from "#core/object.ts";
import { encryptedStore } from "#server/store/encrypted.ts";
import { memoryStore } from "#server/store/memory.ts";
import { objectOf, objectStoreSuite } from "../../suites/store.ts";

const keys = { current: 2, keys: new Map([1, 2].map((number) => [number, randomBytes(32)])) };

objectStoreSuite("encrypted store", async () => {
  const objects = new Map<string, Uint8Array>();
  const store = encryptedStore(memoryStore(objects), keys);
  return {
    store,
    async damage(hash, change) {
      const key = hashKey(hash);
      objects.set(key, change(objects.get(key)!));
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

describe("encrypted store", () => {
  const secret = "the secret of the studio ".repeat(10);

  test("nothing of the contents is in what is stored, and twice is never the same", async () => {
    const [one, other] = [new Map<string, Uint8Array>(), new Map<string, Uint8Array>()];
    const object = objectOf(Buffer.from(secret).subarray(0, 60));
    for (const objects of [one, other]) {
      await encryptedStore(memoryStore(objects), keys).putAll([object]);
    }
    const [first, second] = [one, other].map((objects) => [...objects.values()][0]!);
    expect(Buffer.from(first!).includes("secret")).toBe(false);
    expect(first).not.toEqual(second!);
  });

  test("what older keys sealed, and what nobody sealed, is read", async () => {
    const inner = memoryStore();
    const [plain, old] = [objectOf("plain"), objectOf("old")];
    await inner.putAll([plain]);
    await encryptedStore(inner, { ...keys, current: 1 }).putAll([old]);
    const store = encryptedStore(inner, keys);
    expect(await store.get(plain.hash)).toEqual(plain.encoded);
    expect(await store.get(old.hash)).toEqual(old.encoded);
  });

  test("one that was altered, or put in another's place, is corrupt", async () => {
    const objects = new Map<string, Uint8Array>();
    const store = encryptedStore(memoryStore(objects), keys);
    const [one, other] = [objectOf("one"), objectOf("two")];
    await store.putAll([one, other]);
    const sealed = objects.get(hashKey(one.hash))!;
    const { payload, rawSize } = inspectObject(sealed);
    objects.set(hashKey(other.hash), sealed);
    // The checksum is right: it is not what protects.
    objects.set(hashKey(one.hash), encodeSealed(rawSize, payload.with(20, payload[20]! ^ 1)));
    for (const { hash } of [one, other]) {
      await expect(store.get(hash)).rejects.toMatchObject({
        code: "corrupt",
        message: `object ${toHex(hash)} is damaged: it is not what was encrypted`,
      });
    }
  });

  test("without its key an object is unavailable, and nobody takes the sealed for it", async () => {
    const inner = memoryStore();
    const object = objectOf(secret);
    await encryptedStore(inner, keys).putAll([object]);
    const without = encryptedStore(inner, { current: 1, keys: new Map([[1, randomBytes(32)]]) });
    await expect(without.get(object.hash)).rejects.toMatchObject({ code: "unavailable" });
    const sealed = await inner.get(object.hash);
    expect(() => decodeObject(object.hash, sealed)).toThrow("it is encrypted");
  });
});
