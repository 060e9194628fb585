import { expect, test } from "bun:test";
import { diffTrees } from "#core/tree-diff.ts";
import { equalEntries } from "#core/tree.ts";
import { seededRandom } from "../support/random.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

async function paths(store: MemoryStore, before: Snapshot, after: Snapshot): Promise<string[]> {
  const found: string[] = [];
  const differences = diffTrees(store.loadTrees, store.add(before), store.add(after));
  for await (const { path, old, new: next } of differences) {
    found.push(`${old ? (next ? "M" : "D") : "A"} ${path}`);
  }
  return found;
}

test("what differs is listed in the order of whole paths", async () => {
  const before = { "a/x": "1", "a.txt": "1", "b/c/d": "1", same: "1", "to-file/x": "1" };
  const after = { "a/x": "2", "a.txt": "2", "b/c/e": "1", same: "1", "to-file": "1" };
  expect(await paths(new MemoryStore(), before, after)).toEqual([
    "M a.txt",
    "M a/x",
    "D b/c/d",
    "A b/c/e",
    "A to-file",
    "D to-file/x",
  ]);
});

test("mode, kind and target are differences", async () => {
  const before: Snapshot = { bit: "x", link: { link: "a" }, kind: { link: "a" } };
  const after: Snapshot = { bit: { run: "x" }, link: { link: "b" }, kind: "a" };
  expect(await paths(new MemoryStore(), before, after)).toEqual(["M bit", "M kind", "M link"]);
});

test("one side may be missing", async () => {
  const store = new MemoryStore();
  const root = store.add({ "a/b": "1", c: "2" });
  const added = await Array.fromAsync(diffTrees(store.loadTrees, undefined, root));
  expect(added.map(({ path, old }) => [path, old])).toEqual([
    ["a/b", undefined],
    ["c", undefined],
  ]);
  expect(await Array.fromAsync(diffTrees(store.loadTrees, root, root))).toEqual([]);
});

test("equal directories are never opened, and each level is loaded at once", async () => {
  const store = new MemoryStore();
  const before: Snapshot = {};
  for (let i = 0; i < 50; i++) before[`big/${i}/f`] = String(i);
  for (let i = 0; i < 5; i++) before[`hot/${i}/deep/f`] = String(i);
  const after = { ...before };
  for (let i = 0; i < 5; i++) after[`hot/${i}/deep/f`] = `${i} edited`;
  expect(await paths(store, before, after)).toHaveLength(5);
  expect(store.batches).toBe(4);
  expect(store.opened).toHaveLength(2 * (1 + 1 + 5 + 5));
});

test("random snapshots differ where their listings do", async () => {
  const { random, seed } = seededRandom();
  for (let round = 0; round < 200; round++) {
    const store = new MemoryStore();
    const snapshot = () => {
      const made: Snapshot = {};
      for (let i = 0; i < 12; i++) {
        const depth = 1 + Math.floor(random() * 3);
        const parts = Array.from({ length: depth }, () => "ab.-é"[Math.floor(random() * 5)]!);
        const path = `${parts.join("/")}/f${Math.floor(random() * 3)}`;
        made[path] = String(Math.floor(random() * 2));
      }
      return store.add(made);
    };
    const [before, after] = [snapshot(), snapshot()];
    const [a, b] = [store.list(before), store.list(after)];
    const wanted = [...new Set([...a.keys(), ...b.keys()])].filter((path) => {
      const [x, y] = [a.get(path), b.get(path)];
      return !x || !y || !equalEntries(x, y);
    });
    wanted.sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    const found = await Array.fromAsync(diffTrees(store.loadTrees, before, after));
    expect([seed, round, ...found.map(({ path }) => path)]).toEqual([seed, round, ...wanted]);
  }
});
