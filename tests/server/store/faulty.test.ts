import { expect, test } from "bun:test";
import { PogoError } from "#core/errors.ts";
import { hashKey, toHex } from "#core/hash.ts";
import { faultyStore } from "#server/store/faulty.ts";
import { memoryStore } from "#server/store/memory.ts";
import { names, objectOf, objectStoreSuite } from "../../suites/store.ts";

objectStoreSuite("faulty store without faults", async () => {
  const objects = new Map<string, Uint8Array>();
  const store = faultyStore(memoryStore(objects), []);
  return {
    store,
    async damage(hash, change) {
      const key = hashKey(hash);
      objects.set(key, change(objects.get(key)!));
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

const error = new PogoError("unavailable", "planned");
const [first, second] = [objectOf("first"), objectOf("second")];

test("the planned call fails, the ones around it do not", async () => {
  const store = faultyStore(memoryStore(), [{ method: "putAll", call: 2, kind: "fail", error }]);
  await store.putAll([first]);
  expect(store.putAll([second])).rejects.toBe(error);
  expect(await names(store)).toEqual([toHex(first.hash)]);
  await store.putAll([second]);
  expect((await names(store)).length).toBe(2);
});

test("a short put keeps half and fails; a short get returns half", async () => {
  const store = faultyStore(memoryStore(), [
    { method: "putAll", call: 1, kind: "short", error },
    { method: "get", call: 1, kind: "short", error },
  ]);
  expect(store.putAll([first, second])).rejects.toBe(error);
  expect(await names(store)).toEqual([toHex(first.hash)]);
  expect((await store.get(first.hash)).length).toBe(first.encoded.length >> 1);
  expect(await store.get(first.hash)).toEqual(first.encoded);
});

test("a delayed call waits until it is let go", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const store = faultyStore(memoryStore(), [
    { method: "get", call: 1, kind: "delay", until: promise },
  ]);
  await store.putAll([first]);
  let isDone = false;
  const get = store.get(first.hash).then(() => (isDone = true));
  await store.has(first.hash);
  expect(isDone).toBe(false);
  resolve();
  await get;
  expect(isDone).toBe(true);
});
