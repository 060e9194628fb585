import { expect, test } from "bun:test";
import { detectRenames, type Located } from "#core/rename.ts";
import { similarity } from "#core/rename-similarity.ts";
import { MemoryStore, type Snapshot, type SnapshotFile } from "../support/snapshot.ts";

const text = (from: number, to: number) => {
  return Array.from({ length: to - from }, (_, i) => `line number ${from + i}\n`).join("");
};

async function renames(gone: Snapshot, come: Snapshot): Promise<string[]> {
  const store = new MemoryStore();
  const locate = ([path, file]: [string, SnapshotFile]): Located => {
    const entry = store.addFile(path.split("/").at(-1)!, file);
    return { path, entry: entry as Located["entry"] };
  };
  const [from, to] = [gone, come].map((side) => Object.entries(side).map(locate));
  const found = await detectRenames(store.loadText, from!, to!);
  return found.map((rename) => {
    return `${rename.from.path} ${rename.to.path} ${Math.floor(rename.similarity * 100)}`;
  });
}

test("a file that moved unchanged is found by its hash", async () => {
  expect(await renames({ "a/x": "one\n", "a/y": "two\n" }, { "b/y": "two\n" })).toEqual([
    "a/y b/y 100",
  ]);
  expect(await renames({ old: { link: "t" } }, { new: { link: "t" } })).toEqual(["old new 100"]);
});

test("among equal files the one of the same name moved", async () => {
  const gone = { "a/one": "same\n", "a/two": "same\n" };
  const come = { "b/two": "same\n", "b/one": "same\n" };
  expect(await renames(gone, come)).toEqual(["a/two b/two 100", "a/one b/one 100"]);
});

test("among equal files of one name the one from the most similar path moved", async () => {
  const gone = { "a/lib/x": "same\n", "a/src/x": "same\n" };
  const come = { "b/src/x": "same\n", "b/lib/x": "same\n" };
  expect(await renames(gone, come)).toEqual(["a/src/x b/src/x 100", "a/lib/x b/lib/x 100"]);
});

test("an edited file that moved is found by its lines", async () => {
  expect(await renames({ "a.c": text(0, 100) }, { "lib/b.c": text(20, 110) })).toEqual([
    "a.c lib/b.c 80",
  ]);
  expect(await renames({ "a.c": text(0, 100) }, { "lib/b.c": text(60, 160) })).toEqual([]);
});

test("a file of the same name wins over one that is somewhat more alike", async () => {
  const gone = { "src/m.c": text(0, 100) };
  const come = { "lib/m.c": text(15, 100), "lib/n.c": text(5, 100) };
  expect(await renames(gone, come)).toEqual(["src/m.c lib/m.c 85"]);
});

test("empty files and links do not move by similarity", async () => {
  expect(await renames({ a: "" }, { b: "" })).toEqual([]);
  expect(await renames({ a: { link: "x" } }, { b: "x" })).toEqual([]);
});

test("similarity is the share of bytes in common lines", () => {
  const bytes = (value: string) => new TextEncoder().encode(value);
  expect(similarity(bytes("a\nb\n"), bytes("a\nb\n"))).toBe(1);
  expect(similarity(bytes("aaaa\nbbbb\n"), bytes("bbbb\ncccc\n"))).toBe(0.5);
  expect(similarity(bytes("one\r\ntwo\r\n"), bytes("one\ntwo\n"))).toBeGreaterThan(0.79);
  expect(similarity(bytes("x"), bytes("x"))).toBe(1);
  expect(similarity(bytes(""), bytes("abc"))).toBe(0);
});
