/** Editing history as people do it: the real program in working copies. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { startMs } from "../support/postgres.ts";
import { openScene, steady, type Copy, type Person, type Scene } from "../support/scene.ts";
import { readFiles, type Files } from "../support/workspace.ts";

setDefaultTimeout(startMs);

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
});
afterAll(() => scene[Symbol.asyncDispose]());

/** A working copy with changes one on top of the other, each described and named as its file. */
async function stack(...names: string[]): Promise<Copy> {
  return await ann.published(
    ...names.map((name, index) => ({
      bookmark: name,
      description: name,
      files: filesOf(...names.slice(0, index + 1)),
      on: names[index - 1],
    })),
  );
}

const filesOf = (...names: string[]): Files => {
  return Object.fromEntries(names.map((name) => [name, `${name}\n`]));
};

const textOf = ({ root }: Copy, path: string) => readFileSync(join(root, path), "utf8");

async function parentsOf(copy: Copy, revision: string): Promise<string[]> {
  const remote = ann.remote(copy.repository);
  const isLocal = revision.startsWith("@");
  const name = isLocal ? (await copy.json("show", revision)).name : revision;
  return (await remote.getChange(name)).parents.map(({ description }) => description);
}

test("a change is put elsewhere with all that stands on it", async () => {
  const copy = await stack("base", "one", "two", "three");
  const said = await copy.ok("rebase", "-s", "two", "-d", "base");
  expect(steady(said)).toBe(
    "rebased 2 changes:\n  change-1 two two\n  change-2 three three\nonto change-3 base\n",
  );
  expect(await parentsOf(copy, "two")).toEqual(["base"]);
  expect(await parentsOf(copy, "three")).toEqual(["two"]);
  expect(readFiles(copy.root)).toEqual(filesOf("base", "three", "two"));
  expect(await copy.json("status")).toMatchObject({ clean: true });
  expect(await copy.ok("rebase", "-s", "two", "-d", "base")).toContain("nothing to do");
  expect(await copy.fails("rebase", "-s", "two", "-d", "three")).toMatchObject({ code: "usage" });
  // Which of the two it is that moves would be guessed.
  expect(await copy.fails("rebase", "two", "-d", "base")).toMatchObject({ code: "usage" });
});

test("one change alone is taken out of a stack", async () => {
  const copy = await stack("base", "one", "two", "three");
  await copy.ok("rebase", "-r", "one", "-d", "three");
  expect(await parentsOf(copy, "two")).toEqual(["base"]);
  expect(await parentsOf(copy, "one")).toEqual(["three"]);
  expect(await copy.ok("ls", "three")).toBe("base\nthree\ntwo\n");
  expect(await copy.ok("ls", "one")).toBe("base\none\nthree\ntwo\n");
  // The draft stands where it stood.
  expect(readFiles(copy.root)).toEqual(filesOf("base", "three", "two"));
});

test("a branch goes on top of what others did, the working copy with it", async () => {
  const copy = await stack("main");
  await copy.ok("new", "main", "-m", "theirs");
  copy.write({ theirs: "theirs\n" });
  await copy.ok("push");
  await copy.ok("bookmark", "set", "main");
  await copy.ok("new", "main-", "-m", "mine");
  copy.write({ mine: "mine\n" });
  await copy.ok("commit", "-m", "mine");
  copy.write({ more: "more\n" });
  const { count, pushed } = await copy.json("rebase", "-d", "main");
  expect(count).toBe(2);
  expect(pushed).toMatchObject({ outcome: "created" });
  expect(await parentsOf(copy, "@-")).toEqual(["theirs"]);
  expect(readFiles(copy.root)).toEqual(filesOf("main", "mine", "more", "theirs"));
  await copy.ok("rebase", "-s", "@", "-d", "main", "-d", "@-");
  expect(await parentsOf(copy, "@")).toEqual(["theirs", "mine"]);
});

test("a rebase that conflicts stops nothing, and going back leaves no trace", async () => {
  const copy = await ann.init({ f: "old\n" });
  await copy.commit("base");
  copy.write({ f: "one\n" });
  await copy.commit("one");
  copy.write({ f: "two\n" });
  await copy.publish("two");
  const said = await copy.ok("rebase", "-s", "@", "-d", "@--");
  expect(said).toContain("1 change in conflict");
  expect(said).toContain("pogo resolve --list");
  expect(textOf(copy, "f")).toContain("<<<<<<<");
  expect(await copy.json("status")).toMatchObject({ conflicts: ["f"] });
  const one = (await copy.json("log", "--all")).find(
    ({ description }: { description: string }) => description === "one",
  );
  await copy.ok("rebase", "-d", one.name);
  expect(await copy.json("show", "@")).toMatchObject({ conflicted: false });
  expect(textOf(copy, "f")).toBe("two\n");
});

test("a local file that is in the way is left, and what was asked for is done", async () => {
  const copy = await ann.init({ ".gitignore": "local\n" });
  await copy.commit("base");
  copy.write({ local: "published\n" });
  await copy.ok("push", "--include-ignored", "-m", "other");
  const { name: other } = (await copy.json("status")).change;
  await copy.ok("new", "@-", "-m", "mine");
  copy.write({ mine: "mine\n", local: "private\n" });
  const refused = await copy.fails("rebase", "-s", "@", "-d", other);
  expect(refused).toMatchObject({ code: "conflict" });
  expect(refused.message).toContain("it is done, but the working copy stays where it was");
  expect(refused.hint).toMatch(/^move them away, then pogo edit \w+$/);
  expect(textOf(copy, "local")).toBe("private\n");
  rmSync(join(copy.root, "local"));
  await copy.ok("edit", refused.hint!.split(" ").at(-1)!);
  expect(readFiles(copy.root)).toMatchObject({ local: "published\n", mine: "mine\n" });
});

test("a conflict below is resolved once, and what stands on it is free of it", async () => {
  const copy = await ann.init({ f: "old\n" });
  await copy.commit("base");
  copy.write({ f: "one\n" });
  const { change: one } = await copy.json("commit", "-m", "one");
  copy.write({ g: "g\n" });
  const { change: two } = await copy.json("commit", "-m", "two");
  await copy.ok("new", `${one}-`, "-m", "other");
  copy.write({ f: "other\n" });
  await copy.ok("push");
  const said = await copy.ok("rebase", "-s", one, "-d", "@");
  expect(said).toContain("2 changes in conflict: nothing is lost, resolve it when you like\n");
  expect(said).toContain("; then pogo push --rewrite\n");
  await copy.ok("edit", one);
  copy.write({ f: "one and other\n" });
  expect(await copy.json("push", "--rewrite")).toMatchObject({
    outcome: "rewritten",
    rewriting: { count: 2, conflicted: 0 },
  });
  expect(await copy.ok("cat", two, "f")).toBe("one and other\n");
});

test("a removed change takes its edits with it, and nothing else", async () => {
  const copy = await stack("base", "one", "two");
  copy.write({ draft: "draft\n" });
  const said = await copy.ok("abandon", "one");
  expect(said).toContain("removed");
  expect(said).toContain("rebased 2 changes:");
  expect(said).toContain("moved bookmark one to");
  expect(readFiles(copy.root)).toEqual(filesOf("base", "draft", "two"));
  expect(await parentsOf(copy, "two")).toEqual(["base"]);
  expect(await copy.json("status")).toMatchObject({ clean: true });
});

test("a draft far above a removed change loses its edits too", async () => {
  const copy = await stack("one", "two", "three");
  await copy.ok("rm", "two");
  expect(readFiles(copy.root)).toEqual({ one: "one\n", three: "three\n" });
  expect(await copy.json("status")).toMatchObject({ clean: true, change: { draft: true } });
});

test("edits are squashed into the parent, and into any other change", async () => {
  const copy = await stack("base", "one", "two");
  copy.write({ one: "one, better\n", fresh: "fresh\n" });
  const said = await copy.ok("squash", "--into", "one", "one");
  expect(said).toContain("squashed into");
  expect(said).toContain("the other edits stay in");
  expect(await copy.ok("cat", "one", "one")).toBe("one, better\n");
  expect(await copy.ok("ls", "one")).toBe("base\none\n");
  expect(readFiles(copy.root)).toEqual({
    ...filesOf("base", "fresh", "two"),
    one: "one, better\n",
  });
  expect(await copy.json("status")).toMatchObject({ clean: true });
  expect(await copy.json("squash")).toMatchObject({ hidden: [{ description: "" }] });
  expect(await copy.json("status")).toMatchObject({ clean: true, change: { description: "two" } });
  expect(await copy.ok("ls", "two")).toBe("base\nfresh\none\ntwo\n");
  await copy.ok("squash", "--from", "two", "--into", "base", "-m", "all");
  expect(await copy.json("show", "base")).toMatchObject({ description: "all" });
  expect(await copy.ok("ls", "two")).toBe("base\nfresh\ntwo\n");
});

test("a change is split by paths, and its bookmark stays on all of it", async () => {
  const copy = await stack("base");
  copy.write({ a: "a\n", "d/b": "b\n", c: "c\n" });
  await copy.commit("all");
  await copy.mark("top", "@-");
  await copy.ok("split", "-r", "top", "d", "a", "-m", "first");
  expect(await parentsOf(copy, "top")).toEqual(["first"]);
  expect(await copy.ok("ls", "top-")).toBe("a\nbase\nd/\n");
  expect(await copy.ok("ls", "top")).toBe("a\nbase\nc\nd/\n");
  expect(await copy.fails("split", "-r", "top", "nowhere")).toMatchObject({ code: "usage" });
  expect(await copy.fails("split", "-r", "top")).toMatchObject({ code: "usage" });
  copy.write({ e: "e\n", f: "f\n" });
  await copy.ok("split", "e");
  expect(readFiles(copy.root)).toEqual({
    ...filesOf("a", "base", "c", "e", "f"),
    "d/b": "b\n",
  });
  expect(await copy.json("show", "@")).toMatchObject({ files: [{ path: "f", status: "added" }] });
});

test("a change is taken back by a new one", async () => {
  const copy = await stack("base", "one", "two");
  expect(await copy.json("revert", "one")).toMatchObject({ description: 'revert "one"' });
  expect(readFiles(copy.root)).toEqual(filesOf("base", "two"));
  expect(await parentsOf(copy, "@")).toEqual(["two"]);
  expect(await copy.fails("revert", "one")).toMatchObject({ code: "usage" });
  await copy.ok("revert", "base", "-d", "one");
  expect(readFiles(copy.root)).toEqual(filesOf("base", "two"));
});

test("changes are copied, standing on each other as before", async () => {
  const copy = await stack("base", "one", "two", "three");
  const { changes } = await copy.json("duplicate", "three", "two", "-d", "base");
  expect(changes.map(({ description }: { description: string }) => description)).toEqual([
    "two",
    "three",
  ]);
  expect(changes[1].parents).toEqual([changes[0].name]);
  expect(await copy.ok("ls", changes[1].name)).toBe("base\nthree\ntwo\n");
  const again = await copy.json("duplicate", "one");
  expect(again.changes[0].parents).toEqual([(await copy.json("show", "base")).name]);
});

test("a sealed change is rewritten when a push says so", async () => {
  const copy = await stack("base", "one", "two");
  await copy.ok("edit", "one");
  copy.write({ one: "one, better\n" });
  const said = await copy.ok("push", "--rewrite");
  expect(said).toMatch(/^rewrote \w+ as version 2 one \(1 file\); 1 change above it followed\n$/);
  expect(await copy.ok("cat", "two", "one")).toBe("one, better\n");
  expect(await copy.json("status")).toMatchObject({ clean: true, change: { description: "one" } });
});

test("sync rebases when it is told to, and says beforehand what it would do", async () => {
  const one = await ann.init({ f: "1\n2\n3\n" });
  await one.ok("sync");
  const two = await ann.clone(one.repository);
  one.write({ f: "one\n2\n3\n" });
  await one.ok("sync");
  two.write({ f: "1\n2\nthree\n" });
  await two.ok("commit", "-m", "mine");
  two.write({ g: "g\n" });
  const foreseen = await two.ok("sync", "--rebase", "--dry-run");
  expect(foreseen).toContain("would rebase 1 change onto main");
  expect(foreseen).toContain("1 edited file not pushed yet");
  expect(await two.json("sync", "--dry-run")).toMatchObject({ outcome: "merged", unpublished: 1 });
  expect(await two.json("sync", "--rebase")).toMatchObject({ outcome: "rebased", rebased: 2 });
  expect(readFiles(two.root)).toEqual({ f: "one\n2\nthree\n", g: "g\n" });
  expect(await parentsOf(two, "main-")).toEqual([""]);
  one.write({ g: "other\n" });
  expect((await one.run(["sync", "--rebase"])).exitCode).toBe(5);
  expect(await one.json("status")).toMatchObject({ conflicts: ["g"] });
  expect(await two.json("sync")).toMatchObject({ outcome: "in-sync" });
  one.write({ g: "both\n" });
  await one.ok("sync", "--rebase");
  expect(await two.json("sync")).toMatchObject({ outcome: "behind" });
  expect(textOf(two, "g")).toBe("both\n");
});
