import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { hashKey, toHex } from "#core/hash.ts";
import { openCachedStore } from "#server/store/cached.ts";
import { memoryStore } from "#server/store/memory.ts";
import { objectOf, objectStoreSuite } from "../../suites/store.ts";

const scratch = mkdtempSync(join(tmpdir(), "pogo-cache-"));
afterAll(() => rmSync(scratch, { recursive: true }));
let count = 0;
const freshDirectory = () => join(scratch, String(count++));
const mebibyte = 1024 * 1024;

objectStoreSuite("cached store", async () => {
  const objects = new Map<string, Uint8Array>();
  const directory = freshDirectory();
  const store = await openCachedStore(memoryStore(objects), { directory, bytesMax: mebibyte });
  return {
    store,
    async damage(hash, change) {
      const key = hashKey(hash);
      objects.set(key, change(objects.get(key)!));
      // The cache has it as it was: that is no damage.
      rmSync(join(directory, toHex(hash).slice(0, 2)), { recursive: true });
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

describe("cached store", () => {
  const sizeOf = async (directory: string) => {
    const names = await readdir(directory, { recursive: true });
    const stats = await Promise.all(names.map((name) => stat(join(directory, name))));
    return stats.filter((entry) => entry.isFile()).reduce((sum, { size }) => sum + size, 0);
  };

  test("what was read once is not asked for again, also after a restart", async () => {
    const objects = new Map<string, Uint8Array>();
    const directory = freshDirectory();
    const object = objectOf("read twice");
    await memoryStore(objects).putAll([object]);
    const open = () => openCachedStore(memoryStore(objects), { directory, bytesMax: mebibyte });
    expect(await (await open()).get(object.hash)).toEqual(object.encoded);
    objects.clear();
    expect(await (await open()).get(object.hash)).toEqual(object.encoded);
  });

  test("it stays within its size, and what was used last stays", async () => {
    const directory = freshDirectory();
    const remote = memoryStore();
    const bytesMax = 64 * 1024;
    const store = await openCachedStore(remote, { directory, bytesMax });
    const objects = Array.from({ length: 40 }, (_, index) => {
      return objectOf(crypto.getRandomValues(new Uint8Array(4000 + index)));
    });
    const large = objectOf(crypto.getRandomValues(new Uint8Array(10_000)));
    const [first] = objects as [(typeof objects)[0]];
    for (const object of [...objects, large]) {
      await store.putAll([object]);
      await store.get(first.hash);
    }
    expect(await sizeOf(directory)).toBeLessThanOrEqual(bytesMax);
    expect(await sizeOf(directory)).toBeGreaterThan(bytesMax / 2);
    for (const { hash } of [...objects, large]) await remote.delete(hash);
    expect(await store.get(first.hash)).toEqual(first.encoded);
    expect(await store.get(objects.at(-1)!.hash)).toEqual(objects.at(-1)!.encoded);
    await expect(store.get(objects[1]!.hash)).rejects.toMatchObject({ code: "not-found" });
    await expect(store.get(large.hash)).rejects.toMatchObject({ code: "not-found" });
  });

  test("a cache that is damaged, or cannot be written, is only slow", async () => {
    const directory = freshDirectory();
    const store = await openCachedStore(memoryStore(), { directory, bytesMax: mebibyte });
    const object = objectOf("in a bad cache");
    const folder = join(directory, toHex(object.hash).slice(0, 2));
    await store.putAll([object]);
    await writeFile(join(folder, toHex(object.hash)), "damaged");
    expect(await store.get(object.hash)).toEqual(object.encoded);
    await store.delete(object.hash);
    rmSync(folder, { recursive: true });
    await writeFile(folder, "in the way");
    await store.putAll([object]);
    expect(await store.get(object.hash)).toEqual(object.encoded);
  });

  test("what a killed server left is removed", async () => {
    const directory = freshDirectory();
    await mkdir(join(directory, "aa"), { recursive: true });
    await writeFile(join(directory, "aa", "aa12.new"), "half");
    await openCachedStore(memoryStore(), { directory, bytesMax: mebibyte });
    expect(await readdir(join(directory, "aa"))).toEqual([]);
  });
});
