import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, rename, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { toHex } from "#core/hash.ts";
import { openDiskStore } from "#server/store/disk.ts";
import type { StoredObject } from "#server/store/store.ts";
import { openVolumes } from "#server/store/volumes.ts";
import { names, objectOf, objectStoreSuite } from "../../suites/store.ts";

const scratch = mkdtempSync(join(tmpdir(), "pogo-volumes-"));
afterAll(() => rmSync(scratch, { recursive: true }));
let count = 0;
const fresh = (volumes: number) => {
  const base = join(scratch, String(count++));
  return Array.from({ length: volumes }, (_, index) => join(base, `volume-${index}`));
};
const objects = Array.from({ length: 300 }, (_, index) => objectOf(`object ${index}`));
const hexes = objects.map(({ hash }) => toHex(hash)).sort();

async function placesOf(directories: string[], hash: Uint8Array): Promise<string[]> {
  const paths = directories.map((at) => join(at, toHex(hash).slice(0, 2), toHex(hash)));
  const found = await Promise.all(paths.map((path) => Bun.file(path).exists()));
  return paths.filter((_, index) => found[index]);
}

async function namesOn(directory: string): Promise<string[]> {
  await using store = await openDiskStore(directory);
  return await names(store);
}

objectStoreSuite("volumes", async () => {
  const directories = fresh(3);
  const store = await openVolumes(directories);
  return {
    store,
    async damage(hash, change) {
      for (const path of await placesOf(directories, hash)) {
        await writeFile(path, change(await readFile(path)));
      }
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

describe("volumes", () => {
  test("each has its share, and every object is on one", async () => {
    const directories = fresh(3);
    await using store = await openVolumes(directories);
    await store.putAll(objects);
    const shares = await Promise.all(directories.map(namesOn));
    expect(shares.flat().sort()).toEqual(hexes);
    for (const share of shares) expect(share.length).toBeGreaterThan(60);
  });

  test("a volume that is added gets its share, all is there meanwhile, and no more moves", async () => {
    const [first = "", second = "", third = ""] = fresh(3);
    {
      await using one = await openDiskStore(first);
      await one.putAll(objects.slice(0, 150));
    }
    {
      await using two = await openVolumes([first, second]);
      await two.putAll(objects.slice(150));
      expect(await names(two)).toEqual(hexes);
    }
    const before = { first: await namesOn(first), second: await namesOn(second) };
    await using store = await openVolumes([first, second, third]);
    let isDone = false;
    const reading = (async () => {
      while (!isDone) {
        for (const { hash } of objects.slice(0, 50)) await store.get(hash);
        await new Promise(setImmediate);
      }
    })();
    for await (const _ of store.rebalance());
    isDone = true;
    await reading;
    const after = { first: await namesOn(first), second: await namesOn(second) };
    expect(after.first.every((name) => before.first.includes(name))).toBe(true);
    const all = [...after.first, ...after.second, ...(await namesOn(third))];
    expect(all.sort()).toEqual(hexes);
    expect(await names(store)).toEqual(hexes);
    const moved: number[] = [];
    for await (const progress of store.rebalance()) moved.push(progress.moved);
    expect(moved).toEqual([0]);
  });

  test("a missing volume is missed for its objects only, and is not made anew", async () => {
    const [first = "", second = ""] = fresh(2);
    {
      await using store = await openVolumes([first, second]);
      await store.putAll(objects);
    }
    await rename(second, `${second}-away`);
    await using store = await openVolumes([first, second]);
    const there = await namesOn(first);
    for (const { hash, encoded } of objects) {
      if (there.includes(toHex(hash))) {
        expect(Buffer.compare(await store.get(hash), encoded)).toBe(0);
        continue;
      }
      await expect(store.get(hash)).rejects.toMatchObject({
        code: "unavailable",
        message: `volume ${second} is missing: object ${toHex(hash)} may be on it`,
        hint: `mount ${second} again`,
      });
    }
    await expect(names(store)).rejects.toMatchObject({ code: "unavailable" });
    // What comes now goes where there is place.
    const late = Array.from({ length: 20 }, (_, index) => objectOf(`late ${index}`));
    await store.putAll(late);
    for (const { hash } of late) expect(await store.has(hash)).toBe(true);
    rmSync(second, { recursive: true, force: true });
    await rename(`${second}-away`, second);
    const expected = [...hexes, ...late.map(({ hash }) => toHex(hash))].sort();
    expect(await names(store)).toEqual(expected);
    for await (const _ of store.rebalance());
    expect(await names(store)).toEqual(expected);
  });

  test("of two copies the whole one is read, and a put repairs", async () => {
    const directories = fresh(2);
    await using store = await openVolumes(directories);
    const [object] = objects as [StoredObject];
    await store.putAll([object]);
    const [path = ""] = await placesOf(directories, object.hash);
    await writeFile(path, "damaged");
    await expect(store.get(object.hash)).rejects.toMatchObject({ code: "corrupt" });
    const other = directories.find((directory) => !path.startsWith(directory))!;
    await using disk = await openDiskStore(other);
    await disk.putAll([object]);
    expect(await store.get(object.hash)).toEqual(object.encoded);
    await store.putAll([object]);
    await disk.delete(object.hash);
    expect(await store.get(object.hash)).toEqual(object.encoded);
  });

  test("a volume that is left out, or named in another place, is noticed", async () => {
    const [first = "", second = "", third = ""] = fresh(3);
    {
      await using store = await openVolumes([first, second]);
      await store.putAll(objects);
    }
    await expect(openVolumes([first])).rejects.toMatchObject({
      code: "usage",
      message: `there are objects on ${second} too, which is not named`,
    });
    await rename(second, third);
    {
      await using store = await openVolumes([third, first]);
      expect(await names(store)).toEqual(hexes);
    }
    await unlink(join(first, "volume.json"));
    await writeFile(join(first, "volume.json"), "{");
    await expect(openVolumes([first, third])).rejects.toMatchObject({ code: "corrupt" });
  });
});
