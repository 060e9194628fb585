/** Merging as people do it: the real program in working copies. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { openScene, type Copy, type Person, type Scene } from "../support/scene.ts";
import { readFiles, type Files } from "../support/workspace.ts";

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
});
afterAll(() => scene[Symbol.asyncDispose]());

/** A working copy with two changes on top of one, as `ours` and `theirs`; it is at neither. */
async function apart(base: Files, ours: Files, theirs: Files): Promise<Copy> {
  return await ann.published(
    { bookmark: "base", description: "base", files: base },
    { bookmark: "ours", description: "by ours", files: ours, on: "base" },
    { bookmark: "theirs", description: "by theirs", files: theirs, on: "base" },
  );
}

const textOf = ({ root }: Copy, path: string) => readFileSync(join(root, path), "utf8");

test("two changes are merged into a new one, with nothing to do by hand", async () => {
  const lines = { f: "1\n2\n3\n4\n5\n" };
  const copy = await apart(
    lines,
    { f: "one\n2\n3\n4\n5\n", a: "a" },
    { f: "1\n2\n3\n4\nfive\n", b: "b" },
  );
  const merged = await copy.json("new", "ours", "theirs", "-m", "both");
  expect(merged).toMatchObject({ description: "both", conflicts: [], version: 1 });
  expect(readFiles(copy.root)).toEqual({ a: "a", b: "b", f: "one\n2\n3\n4\nfive\n" });
  expect(await copy.json("status")).toMatchObject({ clean: true, conflicts: [] });
});

test("a conflict of texts stands between markers, and is resolved by taking them away", async () => {
  const copy = await apart({ f: "a\nold\nz\n" }, { f: "a\nours\nz\n" }, { f: "a\ntheirs\nz\n" });
  const said = await copy.ok("new", "ours", "theirs");
  expect(said).toContain("1 file in conflict:\n  C f\n");
  const marked = textOf(copy, "f");
  expect(marked.replace(/ [k-z]{8} /g, " change ").split("\n")).toEqual([
    "a",
    "<<<<<<< change by ours",
    "ours",
    "||||||| before both",
    "old",
    "=======",
    "theirs",
    ">>>>>>> change by theirs",
    "z",
    "",
  ]);
  const status = await copy.json("status");
  expect(status).toMatchObject({ clean: true, conflicts: ["f"], change: { conflicted: true } });
  expect(await copy.ok("show")).toContain("it holds conflicts");
  expect(await copy.ok("info")).toContain("pogo resolve --list");
  expect(await copy.ok("ls")).toBe("f!\n");
  expect(await copy.ok("cat", "@", "f")).toContain("\n||||||| before both\nold\n");
  const patch = await copy.ok("diff", "--from", "ours", "--to", "@");
  expect(patch).toContain("+<<<<<<< side 1\n ours\n+||||||| before both\n");
  expect(await copy.ok("diff")).toBe("");

  // Pushed, cloned and built upon, it is the same conflict.
  expect(await copy.ok("push")).toContain("nothing to push");
  const { name } = status.change;
  const clone = await ann.clone(copy.repository);
  await clone.ok("edit", name);
  expect(textOf(clone, "f")).toBe(marked);
  await clone.ok("edit", "ours");
  expect(readFiles(clone.root)).toEqual({ f: "a\nours\nz\n" });

  copy.write({ f: marked.replace("ours\n", "more\n") });
  expect(await copy.fails("push")).toMatchObject({ code: "conflict" });
  await copy.ok("discard");
  expect(textOf(copy, "f")).toBe(marked);

  copy.write({ f: "a\nboth\nz\n" });
  expect(await copy.json("status")).toMatchObject({
    clean: false,
    conflicts: [],
    files: [{ path: "f", status: "modified" }],
  });
  expect(await copy.json("push")).toMatchObject({ outcome: "version-added", version: 2 });
  const resolved = await copy.json("status");
  expect(resolved).toMatchObject({ clean: true, conflicts: [], change: { conflicted: false } });
});

test("a conflict of other files stands as one file a side", async () => {
  const copy = await apart({ "d/logo": "\0old" }, { "d/logo": "\0ours" }, { "d/logo": "\0theirs" });
  expect(await copy.json("new", "ours", "theirs")).toMatchObject({ conflicts: ["d/logo"] });
  const standing = readFiles(copy.root);
  const [ours, theirs] = Object.keys(standing).sort((a, b) =>
    String(standing[a]) < String(standing[b]) ? -1 : 1,
  );
  expect(ours).toMatch(/^d\/logo\.~[k-z]{8}~$/);
  expect(standing).toEqual({ [ours!]: "\0ours", [theirs!]: "\0theirs" });
  expect(await copy.json("status")).toMatchObject({ clean: true, conflicts: ["d/logo"] });
  const [listed] = await copy.json("resolve", "--list");
  expect(listed).toMatchObject({ path: "d/logo", sides: [{ kind: "file" }, { kind: "file" }] });

  expect(await copy.fails("resolve", "--side", "3")).toMatchObject({ code: "usage" });
  const side = listed.sides[1].name;
  expect(await copy.json("resolve", "d/logo", "--side", side)).toEqual({
    resolved: ["d/logo"],
    conflicts: [],
  });
  expect(readFiles(copy.root)).toEqual({ "d/logo": "\0theirs" });
  await copy.ok("push");
  expect(await copy.json("status")).toMatchObject({ clean: true, change: { conflicted: false } });
});

test("something put in a conflict's place resolves it, and a push tidies the sides away", async () => {
  const copy = await apart({ logo: "\0old" }, { logo: "\0ours" }, { logo: "\0theirs" });
  await copy.ok("new", "ours", "theirs");
  copy.write({ logo: "mine" });
  expect(await copy.json("status")).toMatchObject({ conflicts: [], clean: false });
  await copy.ok("push");
  expect(readFiles(copy.root)).toEqual({ logo: "mine" });
  expect(await copy.json("status")).toMatchObject({ clean: true, change: { conflicted: false } });
});

test("an edit and a deletion, and a file and a directory, can be taken either way", async () => {
  const copy = await apart({ f: "old", x: "x" }, { f: "new", x: "file" }, { "x/below": "tree" });
  const { conflicts } = await copy.json("new", "ours", "theirs");
  expect(conflicts).toEqual(["f", "x"]);
  await copy.ok("resolve", "f", "--base");
  await copy.ok("resolve", "x", "--side", "1");
  const taken = readFiles(copy.root);
  expect(taken["f"]).toBe("old");
  expect([taken["x"], taken["x/below"]].filter(Boolean)).toHaveLength(1);
  expect(Object.keys(taken)).toHaveLength(2);
  await copy.ok("push");
  expect(await copy.json("status")).toMatchObject({ clean: true, conflicts: [] });
});

test("a file whose own text has markers is no conflict", async () => {
  const text = "<<<<<<< a\n1\n=======\n2\n>>>>>>> b\n";
  const copy = await apart({ f: text }, { f: text, a: "a" }, { f: text, b: "b" });
  expect(await copy.json("new", "ours", "theirs")).toMatchObject({ conflicts: [] });
  expect(await copy.json("status")).toMatchObject({ clean: true, conflicts: [] });
});

test("sync creates the bookmark, follows it, merges, and says when there is nothing to do", async () => {
  const one = await ann.init({ f: "f" });
  expect(await one.json("sync")).toMatchObject({ outcome: "created", bookmarks: ["main"] });
  const two = await ann.clone(one.repository);
  expect(await two.json("sync")).toMatchObject({ outcome: "in-sync" });
  one.write({ a: "a" });
  expect(await one.json("sync")).toMatchObject({ outcome: "fast-forwarded" });
  two.write({ b: "b" });
  expect(await two.json("sync")).toMatchObject({ outcome: "merged", bookmarks: ["main"] });
  expect(readFiles(two.root)).toEqual({ a: "a", b: "b", f: "f" });
  expect(await one.json("sync")).toMatchObject({ outcome: "behind" });
  expect(readFiles(one.root)).toEqual({ a: "a", b: "b", f: "f" });
  expect(await one.ok("sync")).toBe("already in sync with main\n");
});

test("what was committed is brought in, and the draft stays on top", async () => {
  const one = await ann.init({ f: "f" });
  const first = await one.json("commit", "-m", "first");
  expect(await one.json("sync")).toMatchObject({ outcome: "created", name: first["change"] });
  const two = await ann.clone(one.repository);
  one.write({ a: "a" });
  const second = await one.json("commit", "-m", "second");
  expect(await one.json("sync")).toMatchObject({
    outcome: "fast-forwarded",
    name: second["change"],
  });
  expect(await one.json("status")).toMatchObject({ clean: true, change: { draft: true } });
  two.write({ b: "b" });
  await two.ok("commit", "-m", "apart");
  const merged = await two.json("sync");
  expect(merged).toMatchObject({ outcome: "merged", bookmarks: ["main"] });
  const { change } = (await two.json("status")) as { change: Record<string, unknown> };
  expect(change).toMatchObject({ draft: true, parents: [merged["name"]] });
  expect(readFiles(two.root)).toEqual({ a: "a", b: "b", f: "f" });
  expect(await two.ok("sync")).toBe("already in sync with main\n");
});

test("a copy of an empty repository catches up", async () => {
  const one = await ann.init({ f: "f" });
  const two = await ann.clone(one.repository);
  await one.ok("sync");
  expect(await two.json("sync")).toMatchObject({ outcome: "behind" });
  expect(readFiles(two.root)).toEqual({ f: "f" });
});

test("a sync that conflicts goes on once it is resolved", async () => {
  const one = await ann.init({ f: "old\n" });
  await one.ok("sync");
  const two = await ann.clone(one.repository);
  one.write({ f: "one\n" });
  await one.ok("sync");
  two.write({ f: "two\n" });
  expect(await two.fails("sync")).toMatchObject({ code: "conflict" });
  expect(textOf(two, "f")).toContain("<<<<<<<");
  expect(await two.fails("sync")).toMatchObject({ code: "conflict" });
  expect(await one.json("sync")).toMatchObject({ outcome: "in-sync" });
  two.write({ f: "one and two\n" });
  expect(await two.json("sync")).toMatchObject({ outcome: "fast-forwarded", conflicted: false });
  expect(await one.json("sync")).toMatchObject({ outcome: "behind" });
  expect(textOf(one, "f")).toBe("one and two\n");
});
