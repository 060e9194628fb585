import { expect, test } from "bun:test";

import { pickPaths, putEntries } from "#core/tree-pick.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

async function pick(own: Snapshot, other: Snapshot, paths: string[]): Promise<Snapshot> {
  const store = new MemoryStore();
  const [root, taken] = [store.add(own), store.add(other)];
  const picked = await pickPaths(store.loadTrees, root, taken, paths);
  store.addEncoded(picked.trees);
  const files: Snapshot = {};
  for (const [path, entry] of store.list(picked.root)) {
    const text = await store.loadText(entry as Parameters<typeof store.loadText>[0]);
    files[path] = Buffer.from(text!).toString();
  }
  return files;
}

const own = { a: "1", "d/x": "1", "d/y": "1", gone: "1" };
const other = { a: "2", "d/x": "2", "d/y": "2", "new/n": "2" };

test("a file, a directory, what is new and what is gone are taken over", async () => {
  expect(await pick(own, other, ["a"])).toEqual({ ...own, a: "2" });
  expect(await pick(own, other, ["d/x"])).toEqual({ ...own, "d/x": "2" });
  expect(await pick(own, other, ["d", "new/n"])).toEqual({
    ...own,
    "d/x": "2",
    "d/y": "2",
    "new/n": "2",
  });
  expect(await pick(own, other, ["gone"])).toEqual({ a: "1", "d/x": "1", "d/y": "1" });
});

test("everything is the other snapshot, and a path that is nowhere is nothing", async () => {
  expect(await pick(own, other, [""])).toEqual(other);
  expect(await pick(own, other, ["no/such", "d/no", "a/below"])).toEqual(own);
});

test("a file gives way to what is taken below its name, and the other way round", async () => {
  expect(await pick({ x: "file" }, { "x/y": "below", "x/z": "z" }, ["x/y"])).toEqual({
    "x/y": "below",
  });
  expect(await pick({ "x/y": "below", k: "k" }, { x: "file" }, ["x"])).toEqual({
    x: "file",
    k: "k",
  });
  expect(await pick({ "x/y": "below" }, {}, ["x/y"])).toEqual({});
});

test("entries are put where they belong, and taken away", async () => {
  const store = new MemoryStore();
  const root = store.add({ a: "1", "d/x": "1", "d/e/y": "1", f: "1", "g/z": "1" });
  const put = await putEntries(
    store.loadTrees,
    root,
    new Map([
      ["d/e/y", undefined],
      ["a", undefined],
      ["a/below", store.addFile("other", "2")],
      ["n/m/new", store.addFile("new", "3")],
      ["g", store.addFile("g", "4")],
      ["g/z", undefined],
    ]),
  );
  store.addEncoded(put.trees);
  const expected = store.add({ "a/below": "2", "d/x": "1", f: "1", g: "4", "n/m/new": "3" });
  expect(put.root).toEqual(expected);
  const gone = await putEntries(
    store.loadTrees,
    store.add({ "x/y": "1" }),
    new Map([["x/y", undefined]]),
  );
  expect(gone).toEqual({ root: store.add({}), trees: [] });
});
