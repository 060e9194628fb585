/** Undoing what rewrote history: the real program in working copies. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { startMs } from "../support/postgres.ts";
import { openScene, steady, type Copy, type Person, type Scene } from "../support/scene.ts";
import { readFiles } from "../support/workspace.ts";

setDefaultTimeout(startMs);

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
});
afterAll(() => scene[Symbol.asyncDispose]());

const filesOf = ({ root }: Copy) => readFiles(root);

/** Changes `root`, `one` and `two`, each with a file and a bookmark; `two` stands on `one`. */
async function stack(): Promise<Copy> {
  const root = { root: "root" };
  const one = { ...root, one: "one" };
  const copy = await ann.published(
    { bookmark: "root", description: "root", files: root },
    { bookmark: "one", description: "one", files: one, on: "root" },
    { bookmark: "two", description: "two", files: { ...one, two: "two" }, on: "one" },
  );
  await copy.ok("edit", "two");
  return copy;
}

const graphOf = async (copy: Copy) => {
  const changes = await copy.json("log", "--all");
  const tell = ({ name, parents, description, bookmarks }: Record<string, unknown>) => {
    return [name, parents, description, bookmarks];
  };
  return changes.map(tell).sort();
};

test("a rebase is undone and done again, with all that followed it", async () => {
  const copy = await stack();
  await copy.ok("new", "root", "-m", "aside");
  copy.write({ aside: "aside" });
  await copy.ok("push");
  await copy.ok("bookmark", "set", "aside");
  await copy.ok("edit", "two");
  const before = await graphOf(copy);
  await copy.ok("rebase", "-s", "one", "-d", "aside");
  const after = await graphOf(copy);
  expect(filesOf(copy)).toEqual({ root: "root", one: "one", two: "two", aside: "aside" });
  copy.write({ two: "edited" });
  expect(steady(await copy.ok("undo"))).toContain("rebase change-1 onto change-2\n");
  expect(await graphOf(copy)).toEqual(before);
  expect(filesOf(copy)).toEqual({ root: "root", one: "one", two: "edited" });
  await copy.ok("redo");
  expect(await graphOf(copy)).toEqual(after);
  expect(filesOf(copy)).toEqual({ root: "root", one: "one", two: "edited", aside: "aside" });
});

test("a change that was squashed away is there again", async () => {
  const copy = await stack();
  const before = await graphOf(copy);
  await copy.ok("squash", "--from", "two", "--into", "one");
  expect((await graphOf(copy)).length).toBe(2);
  expect(await copy.ok("undo")).toContain("squash ");
  expect(await graphOf(copy)).toEqual(before);
  expect(filesOf(copy)).toEqual({ root: "root", one: "one", two: "two" });
});

test("a change that was split is whole again", async () => {
  const copy = await stack();
  copy.write({ two: "2", more: "more" });
  await copy.ok("new", "-m", "large");
  copy.write({ a: "a", b: "b" });
  await copy.ok("push");
  const before = await graphOf(copy);
  const { name } = (await copy.json("status")).change;
  await copy.ok("split", "a");
  expect(await copy.ok("undo")).toContain("split ");
  expect(await graphOf(copy)).toEqual(before);
  expect((await copy.json("status")).change).toMatchObject({ name, version: 1 });
  expect(filesOf(copy)).toMatchObject({ a: "a", b: "b" });
});

test("a working copy whose change was removed is at it again, with its files", async () => {
  const copy = await stack();
  const { name } = (await copy.json("status")).change;
  await copy.ok("rm", "@");
  expect((await copy.json("status")).change.draft).toBe(true);
  copy.write({ two: "edited" });
  await copy.ok("undo");
  const { change, files } = await copy.json("status");
  expect(change).toMatchObject({ name, draft: false });
  expect(files).toEqual([{ path: "two", status: "modified" }]);
  expect(filesOf(copy)).toEqual({ root: "root", one: "one", two: "edited" });
});

test("a push that rewrote what others stand on is undone as a whole", async () => {
  const copy = await stack();
  await copy.ok("edit", "one");
  copy.write({ one: "rewritten" });
  await copy.ok("push", "--rewrite");
  expect(await copy.ok("cat", "two", "one")).toBe("rewritten");
  const clone = await ann.clone(copy.repository, "-r", "two");
  await copy.ok("undo");
  expect(await copy.ok("cat", "two", "one")).toBe("one");
  expect(filesOf(copy)).toEqual({ root: "root", one: "rewritten" });
  expect((await copy.json("status")).files).toEqual([{ path: "one", status: "modified" }]);
  // One that only stands on it has nothing of it left.
  await clone.ok("edit", "two");
  await copy.ok("redo");
  await clone.ok("edit", "two");
  expect(filesOf(clone)).toEqual({ root: "root", one: "rewritten", two: "two" });
  await clone.ok("undo");
  expect(filesOf(clone)).toEqual({ root: "root", one: "one", two: "two" });
  expect(await clone.json("status")).toMatchObject({ clean: true });
});
