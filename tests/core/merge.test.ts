import { describe, expect, test } from "bun:test";
import { hashKey, type Hash } from "#core/hash.ts";
import { mergeTrees, mergeVersions } from "#core/merge.ts";
import type { DirectoryEntry } from "#core/tree.ts";
import { merged, spell, text } from "../support/merged.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

describe("single files", () => {
  test("added, changed and deleted on one side", async () => {
    const base = { same: "s", "d/changed": "1", "d/gone": "2" };
    const ours = { ...base, "d/changed": "one", "new/file": "n" };
    const theirs: Snapshot = { same: "s", "d/changed": "1", "their/file": "t" };
    expect(await merged(base, ours, theirs)).toEqual({
      same: '"s"',
      "d/changed": '"one"',
      "new/file": '"n"',
      "their/file": '"t"',
    });
  });

  test("edited on both sides", async () => {
    const base = { "a/b/c": text(0, 9) };
    const ours = { "a/b/c": text(0, 9, { 1: "ours" }) };
    const theirs = { "a/b/c": text(0, 9, { 7: "theirs" }) };
    expect(await merged(base, ours, theirs)).toEqual({
      "a/b/c": JSON.stringify(text(0, 9, { 1: "ours", 7: "theirs" })),
    });
  });

  test("an executable bit and an edit go together", async () => {
    expect(await merged({ f: "1\n" }, { f: { run: "1\n" } }, { f: "2\n" })).toEqual({
      f: 'run "2\\n"',
    });
  });

  test("edits follow a conversion of all line endings", async () => {
    const edited = text(0, 9, { 7: "edited" });
    const crlf = (lf: string) => lf.replaceAll("\n", "\r\n");
    for (const [ours, theirs] of [
      [crlf(text(0, 9)), edited],
      [edited, crlf(text(0, 9))],
      [crlf(text(0, 9, { 1: "too" })), edited],
    ] as const) {
      const both = ours.includes("too") ? text(0, 9, { 1: "too", 7: "edited" }) : edited;
      expect(await merged({ f: text(0, 9) }, { f: ours }, { f: theirs })).toEqual({
        f: JSON.stringify(crlf(both)),
      });
    }
  });

  test("what cannot be merged becomes a conflict with all its sides", async () => {
    const base: Snapshot = {
      text: "b\n",
      bin: "b\0",
      link: { link: "b" },
      gone: "b\n",
      kind: "b\n",
    };
    const ours: Snapshot = {
      text: "o\n",
      bin: "o\0",
      link: { link: "o" },
      kind: { link: "o" },
      add: "o\n",
    };
    const theirs: Snapshot = {
      text: "t\n",
      bin: "t\0",
      link: { link: "t" },
      gone: "t\n",
      kind: "t\n",
      add: "t\n",
    };
    expect(await merged(base, ours, theirs)).toEqual({
      text: '"o\\n" | "t\\n" over "b\\n"',
      bin: '"o\\u0000" | "t\\u0000" over "b\\u0000"',
      link: "-> o | -> t over -> b",
      gone: 'nothing | "t\\n" over "b\\n"',
      kind: '-> o | "t\\n" over "b\\n"',
      add: '"o\\n" | "t\\n" over nothing',
    });
  });

  test("a binary file that one side changed is no conflict", async () => {
    expect(await merged({ f: "b\0" }, { f: "b\0" }, { f: "t\0" })).toEqual({ f: '"t\\u0000"' });
  });

  test("odd files never make a merge fail", async () => {
    const odd: Uint8Array[] = [
      new Uint8Array(0),
      Uint8Array.of(10),
      Uint8Array.of(13),
      new Uint8Array(3_000_000).fill(10),
      new Uint8Array(3_000_000).fill(65),
      Uint8Array.of(0xff, 0xfe, 0x0a),
      Uint8Array.of(0xff, 0xfe, 0x00, 0xd8, 0x0a, 0x00),
      Uint8Array.of(0x00, 0x00, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0xef, 0xbb, 0xbf),
      Uint8Array.from({ length: 4096 }, (_, at) => (at * 7) % 256),
    ];
    for (const [index, base] of odd.entries()) {
      const store = new MemoryStore();
      const ours = odd[(index + 1) % odd.length]!;
      const theirs = odd[(index + 3) % odd.length]!;
      const roots = [base, ours, theirs].map((f) => store.add({ f }));
      const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
      store.addEncoded(result.trees);
      expect(store.list(result.root).has("f")).toBe(true);
    }
  });

  test("a file that cannot be read becomes a conflict, not a failure", async () => {
    const store = new MemoryStore();
    const roots = ["b\n", "o\n", "t\n"].map((f) => store.add({ f, other: f }));
    store.files.clear();
    const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
    expect(result.conflicts).toEqual(["f", "other"]);
  });
});

describe("renames", () => {
  const [old, edited] = [text(0, 50), text(0, 50, { 40: "edited" })];

  test("an edit follows a move", async () => {
    const wanted = { "new/b": JSON.stringify(edited), k: '"k"' };
    expect(
      await merged({ a: old, k: "k" }, { "new/b": old, k: "k" }, { a: edited, k: "k" }),
    ).toEqual(wanted);
    expect(
      await merged({ a: old, k: "k" }, { a: edited, k: "k" }, { "new/b": old, k: "k" }),
    ).toEqual(wanted);
  });

  test("an edit follows a move that came with an edit", async () => {
    const moved = text(0, 50, { 3: "moved" });
    expect(await merged({ a: old }, { b: moved }, { a: edited })).toEqual({
      b: JSON.stringify(text(0, 50, { 3: "moved", 40: "edited" })),
    });
  });

  test("a move that both sides made keeps both edits", async () => {
    expect(
      await merged({ a: old }, { b: text(0, 50, { 3: "o" }) }, { b: text(0, 50, { 40: "t" }) }),
    ).toEqual({
      b: JSON.stringify(text(0, 50, { 3: "o", 40: "t" })),
    });
  });

  test("edits and additions follow a directory that moved", async () => {
    const base = { "old/x": old, "old/y": text(100, 150), "old/sub/z": text(200, 250) };
    const ours = { "lib/x": old, "lib/y": text(100, 150), "lib/sub/z": text(200, 250) };
    const theirs = { ...base, "old/y": text(100, 150, { 120: "edited" }), "old/added": "a\n" };
    expect(await merged(base, ours, theirs)).toEqual({
      "lib/x": JSON.stringify(old),
      "lib/y": JSON.stringify(text(100, 150, { 120: "edited" })),
      "lib/sub/z": JSON.stringify(text(200, 250)),
      "lib/added": '"a\\n"',
    });
  });

  test("a file moved on one side and deleted on the other is a conflict", async () => {
    expect(await merged({ a: "x\n" }, { b: "x\n" }, {})).toEqual({
      b: '"x\\n" | nothing over "x\\n" at a',
    });
  });

  test("a file that the sides moved to two places is a conflict in both", async () => {
    expect(await merged({ a: "x\n" }, { b: "x\n" }, { c: "x\n" })).toEqual({
      b: '"x\\n" | nothing over "x\\n" at a',
      c: 'nothing | "x\\n" over "x\\n" at a',
    });
  });

  test("two files moved to one place are a conflict that holds both", async () => {
    const [x, y] = [text(0, 20), text(50, 70)];
    expect(await merged({ a: x, b: y }, { c: x, b: y }, { a: x, c: y })).toEqual({
      c: `${JSON.stringify(x)} | ${JSON.stringify(y)} over nothing`,
    });
  });
});

describe("conflicts", () => {
  async function conflicted(): Promise<{ store: MemoryStore; root: Hash; roots: Hash[] }> {
    const store = new MemoryStore();
    const roots = ["b\n", "o\n", "t\n"].map((f) => store.add({ f, "d/g": f }));
    const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
    store.addEncoded(result.trees);
    expect(result.conflicts).toEqual(["d/g", "f"]);
    return { store, root: result.root, roots };
  }

  test("a resolution wins over the conflict it resolves", async () => {
    const { store, root } = await conflicted();
    const resolved = store.add({ f: "resolved\n", "d/g": "too\n" });
    for (const [ours, theirs] of [
      [root, resolved],
      [resolved, root],
    ]) {
      const result = await mergeTrees(store, root, ours, theirs);
      expect(result.conflicts).toEqual([]);
      expect(hashKey(result.root)).toBe(hashKey(resolved));
    }
  });

  test("a conflict is carried through a merge of something else", async () => {
    const { store, root, roots } = await conflicted();
    const other = store.add({ f: "o\n", "d/g": "o\n", more: "m\n" });
    const result = await mergeTrees(store, roots[1], root, other);
    store.addEncoded(result.trees);
    expect(result.conflicts).toEqual([]);
    expect(spell(store, store.list(result.root).get("f"))).toBe('"o\\n" | "t\\n" over "b\\n"');
    expect(store.list(result.root).get("more")).toBeDefined();
  });

  test("a conflict is gone when one of its sides takes over the other's change", async () => {
    const { store, root, roots } = await conflicted();
    // From ours to theirs: what is left of "ours or theirs" is theirs.
    const result = await mergeTrees(store, roots[1], root, roots[2]);
    expect(hashKey(result.root)).toBe(hashKey(roots[2]!));
  });

  test("a third side joins a conflict", async () => {
    const { store, root, roots } = await conflicted();
    const third = store.add({ f: "third\n", "d/g": "b\n" });
    const result = await mergeTrees(store, roots[0], root, third);
    store.addEncoded(result.trees);
    const listed = store.list(result.root);
    expect(spell(store, listed.get("f"))).toBe('"o\\n" | "t\\n" | "third\\n" over "b\\n" | "b\\n"');
    expect(spell(store, listed.get("d/g"))).toBe('"o\\n" | "t\\n" over "b\\n"');
  });
});

test("a criss-cross history does not ask again what its merges have decided", async () => {
  const store = new MemoryStore();
  const base = text(0, 20);
  const contents: Record<string, string> = {
    root: base,
    a: text(0, 20, { 5: "a" }),
    b: text(0, 20, { 5: "b" }),
    // Both merges solved the conflict alike; one went on to edit elsewhere.
    ab: text(0, 20, { 5: "solved" }),
    ba: text(0, 20, { 5: "solved", 15: "more" }),
  };
  const ancestors: Record<string, string[]> = { "ba ab": ["a", "b"], "b a": ["root"] };
  const history = {
    rootOf: async ({ name }: { name: string }) => store.add({ f: contents[name]! }),
    basesOf: async (one: { name: string }, others: readonly { name: string }[]) => {
      const key = [one, ...others].map(({ name }) => name).join(" ");
      return ancestors[key]!.map((name) => ({ name }));
    },
  };
  const result = await mergeVersions(store, history, [{ name: "ab" }, { name: "ba" }]);
  expect(result.conflicts).toEqual([]);
  expect(hashKey(result.root)).toBe(hashKey(store.add({ f: contents["ba"]! })));
});

test("what a conflict has of a virtual base is stored with it", async () => {
  const store = new MemoryStore();
  const contents: Record<string, Snapshot> = {
    root: { f: text(0, 20), "d/g": "g" },
    a: { f: text(0, 20, { 3: "a" }), "d/g": "g", "d/a": "a" },
    b: { f: text(0, 20, { 15: "b" }), "d/g": "g", "d/b": "b" },
    ab: { f: text(0, 20, { 3: "a", 9: "one", 15: "b" }), d: "file" },
    ba: { f: text(0, 20, { 3: "a", 9: "two", 15: "b" }), "d/g": "2", "d/a": "a", "d/b": "b" },
  };
  const ancestors: Record<string, string[]> = { "ba ab": ["a", "b"], "b a": ["root"] };
  const history = {
    rootOf: async ({ name }: { name: string }) => store.add(contents[name]!),
    basesOf: async (one: { name: string }, others: readonly { name: string }[]) => {
      const key = [one, ...others].map(({ name }) => name).join(" ");
      return ancestors[key]!.map((name) => ({ name }));
    },
  };
  const result = await mergeVersions(store, history, [{ name: "ab" }, { name: "ba" }]);
  store.addEncoded(result.trees);
  expect(result.conflicts).toEqual(["d", "f"]);
  const entries = store.trees.get(hashKey(result.root))!;
  const bases = entries.map((entry) => (entry.kind === "conflict" ? entry.bases : []));
  expect(spell(store, bases[1]![0])).toBe(JSON.stringify(text(0, 20, { 3: "a", 15: "b" })));
  const directory = store.list((bases[0]![0] as DirectoryEntry).hash);
  expect([...directory.keys()]).toEqual(["a", "b", "g"]);
});

test("several versions merge one after the other, and only the last trees are handed back", async () => {
  const store = new MemoryStore();
  const base = { "d/f": text(0, 30), "e/g": "1\n" };
  const roots = [5, 15, 25].map((line) => {
    return { root: store.add({ ...base, "d/f": text(0, 30, { [line]: `edit ${line}` }) }) };
  });
  const history = {
    rootOf: async ({ root }: { root: Hash }) => root,
    basesOf: async () => [{ root: store.add(base) }],
  };
  const result = await mergeVersions(store, history, [roots[0]!, roots[1]!, roots[2]!]);
  expect(result.conflicts).toEqual([]);
  expect(result.trees).toHaveLength(2);
  const edits = { 5: "edit 5", 15: "edit 15", 25: "edit 25" };
  expect(hashKey(result.root)).toBe(hashKey(store.add({ ...base, "d/f": text(0, 30, edits) })));
});
