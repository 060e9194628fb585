/** Directories in merges, and what clashes with them. */
import { describe, expect, test } from "bun:test";
import { hashKey } from "#core/hash.ts";
import { mergeTrees } from "#core/merge.ts";
import { emptyTreeHash, type DirectoryEntry, type Entry } from "#core/tree.ts";
import { merged, spell, text } from "../support/merged.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

describe("directories", () => {
  test("a file where the other side has a directory is a conflict that holds both", async () => {
    const store = new MemoryStore();
    const roots = [{}, { x: "file" }, { "x/y": "below" }].map((snapshot) => store.add(snapshot));
    const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
    expect(result.conflicts).toEqual(["x"]);
    store.addEncoded(result.trees);
    expect(spell(store, store.list(result.root).get("x"))).toBe('"file" | directory over nothing');
    const mirrored = await mergeTrees(store, roots[0], roots[2], roots[1]);
    store.addEncoded(mirrored.trees);
    expect(spell(store, store.list(mirrored.root).get("x"))).toBe(
      'directory | "file" over nothing',
    );
  });

  test("a directory that went on where a file replaced it stands whole, as that side has it", async () => {
    const base = { "x/edited": "1", "x/kept": "2", "x/sub/kept": "3", "x/gone": "4" };
    const ours = { x: "file" };
    const theirs = { "x/edited": "one", "x/kept": "2", "x/sub/kept": "3", "x/new/f": "n" };
    const store = new MemoryStore();
    const roots = [base, ours, theirs].map((snapshot) => store.add(snapshot));
    const directoryOf = (index: number) => {
      return store.trees.get(hashKey(roots[index]!))!.find(({ name }) => name === "x");
    };
    const [old, file, directory] = [directoryOf(0), directoryOf(1), directoryOf(2)] as Entry[];
    for (const [one, other] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const result = await mergeTrees(store, roots[0], roots[one], roots[other]);
      store.addEncoded(result.trees);
      expect(result.conflicts).toEqual(["x"]);
      const sides = one === 1 ? [file!, directory!] : [directory!, file!];
      expect(store.trees.get(hashKey(result.root))).toMatchObject([
        {
          kind: "conflict",
          sides: sides.map(({ name: _, ...term }) => term),
          bases: [{ hash: (old as DirectoryEntry).hash }],
        },
      ]);
    }
  });

  test("a directory that went on in a conflict with a file takes what is new in it over", async () => {
    const store = new MemoryStore();
    const add = (x: Snapshot) => store.add({ ...x, k: "k" });
    const base = add({ "x/f": "1" });
    const theirs = add({ "x/f": "2" });
    const first = await mergeTrees(store, base, add({ x: "file" }), theirs);
    store.addEncoded(first.trees);
    const later = add({ "x/f": "3" });
    const second = await mergeTrees(store, theirs, first.root, later);
    store.addEncoded(second.trees);
    const expected = await mergeTrees(store, base, add({ x: "file" }), later);
    expect(hashKey(second.root)).toBe(hashKey(expected.root));
  });

  test("edits that a rename brought into such a directory are merged there", async () => {
    const base = { "x/f": "1", "y/g": text(0, 30) };
    const ours = { x: "file", "y/g": text(0, 30, { 3: "ours" }) };
    const theirs = { "x/f": "2", "x/g": text(0, 30, { 20: "theirs" }) };
    const store = new MemoryStore();
    const roots = [base, ours, theirs].map((snapshot) => store.add(snapshot));
    const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
    store.addEncoded(result.trees);
    const [entry] = store.trees.get(hashKey(result.root))!;
    const side = entry?.kind === "conflict" ? entry.sides[1] : undefined;
    const below = store.list((side as DirectoryEntry).hash);
    expect(spell(store, below.get("f"))).toBe('"2"');
    expect(spell(store, below.get("g"))).toBe(
      JSON.stringify(text(0, 30, { 3: "ours", 20: "theirs" })),
    );
  });

  test("a directory that a file replaced is gone if the other side left it alone", async () => {
    expect(await merged({ "x/y": "1" }, { x: "file" }, { "x/y": "1", z: "2" })).toEqual({
      x: '"file"',
      z: '"2"',
    });
  });

  test("a directory from which both sides removed a part is gone", async () => {
    const store = new MemoryStore();
    const roots = [{ "d/a": "1", "d/b": "2" }, { "d/b": "2" }, { "d/a": "1" }].map((s) =>
      store.add(s),
    );
    const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
    expect(hashKey(result.root)).toBe(hashKey(emptyTreeHash));
  });

  test("directories that only one side changed are not opened", async () => {
    const store = new MemoryStore();
    const base: Snapshot = { "hot/f": text(0, 9) };
    for (let i = 0; i < 30; i++) base[`d${i}/sub/f`] = String(i);
    const ours = { ...base, "d1/sub/f": "o", "hot/f": text(0, 9, { 1: "o" }) };
    const theirs = { ...base, "d2/sub/f": "t", "hot/f": text(0, 9, { 7: "t" }) };
    const roots = [base, ours, theirs].map((snapshot) => store.add(snapshot));
    await mergeTrees(store, roots[0], roots[1], roots[2]);
    expect(store.opened).toHaveLength(6);
  });
});
