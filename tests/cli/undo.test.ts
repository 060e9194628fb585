/** Going back as people do it: the real program in working copies. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";

import { newRequestId } from "#client/remote.ts";
import { State } from "#client/state.ts";
import { toHex } from "#core/hash.ts";
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
const statusOf = async (copy: Copy) => {
  const { change, files } = await copy.json("status");
  const paths = files.map(({ path }: { path: string }) => path);
  return [change.draft ? "draft" : change.version, change.description, ...paths];
};

test("a push is undone: its files are edits again, and the next push is the change again", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  copy.write({ a: "two", b: "new" });
  await copy.ok("push");
  expect(steady(await copy.ok("undo"))).toBe(
    "undid operation 3 (ann): push change-1 (version 2)\n" +
      "now at change-1 version 1 first, with your files as they were\n",
  );
  expect(await statusOf(copy)).toEqual([1, "first", "a", "b"]);
  expect(filesOf(copy)).toEqual({ a: "two", b: "new" });
  expect(steady(await copy.ok("redo"))).toBe(
    "did again operation 3 (ann): push change-1 (version 2)\nnow at change-1 version 2 first\n",
  );
  expect(await statusOf(copy)).toEqual([2, "first"]);
  await copy.ok("undo");
  copy.write({ a: "three" });
  expect(await copy.ok("push")).toContain("version 3");
  expect(await copy.ok("cat", "@@3", "a")).toBe("three");
  expect(await copy.ok("cat", "@@2", "a")).toBe("two");
  expect(await copy.fails("redo")).toMatchObject({ code: "not-found", exitCode: 3 });
});

test("the push that created a change is undone: what it published is a draft again", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  await copy.ok("new", "-m", "second");
  copy.write({ a: "two" });
  await copy.ok("push");
  const pushed = (await copy.json("status")).change.name;
  expect(steady(await copy.ok("undo"))).toBe(
    "undid operation 3 (ann): push change-1 (version 1)\n" +
      "now at the new draft change-2 second, with your files as they were\n",
  );
  expect(await statusOf(copy)).toEqual(["draft", "second", "a"]);
  expect((await copy.json("log", "--all")).length).toBe(1);
  // What was pushed can still be looked at.
  expect(await copy.ok("cat", `${pushed}@1`, "a")).toBe("two");
  copy.write({ a: "two, edited" });
  await copy.ok("redo");
  expect((await copy.json("status")).change).toMatchObject({ name: pushed, version: 1 });
  expect(filesOf(copy)).toEqual({ a: "two, edited" });
  expect(await statusOf(copy)).toEqual([1, "second", "a"]);
});

test("a commit is undone: its edits are in the working copy again", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.commit("first");
  copy.write({ a: "two", b: "new" });
  await copy.ok("commit", "-m", "second");
  expect(await statusOf(copy)).toEqual(["draft", ""]);
  await copy.ok("undo");
  expect(await statusOf(copy)).toEqual(["draft", "second", "a", "b"]);
  await copy.ok("redo");
  expect(await statusOf(copy)).toEqual(["draft", ""]);
  expect((await copy.json("log"))[0]).toMatchObject({ description: "second" });
});

test("a description comes back, and local edits stay", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.ok("push", "-m", "before");
  copy.write({ a: "edited" });
  await copy.ok("describe", "-m", "after");
  expect(steady(await copy.ok("undo"))).toBe(
    "undid operation 3 (ann): describe change-1 (version 2)\nnow at change-1 version 1 before\n",
  );
  expect(await statusOf(copy)).toEqual([1, "before", "a"]);
  await copy.ok("redo");
  expect(await statusOf(copy)).toEqual([2, "after", "a"]);
});

test("a bookmark that was moved, or deleted, comes back", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  await copy.mark("main");
  await copy.ok("new", "-m", "second");
  copy.write({ a: "two" });
  await copy.publish();
  await copy.ok("bookmark", "set", "main");
  expect(steady(await copy.ok("undo"))).toBe(
    "undid operation 5 (ann): bookmark main: change-1 → change-2\n",
  );
  expect(await copy.json("show", "main")).toMatchObject({ description: "first" });
  await copy.ok("bookmark", "delete", "main");
  expect(steady(await copy.ok("undo"))).toBe(
    "undid operation 7 (ann): delete bookmark main, which was at change-1\n",
  );
  expect(await copy.json("show", "main")).toMatchObject({ description: "first" });
});

test("a removed change comes back under what stood on it", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.commit("first");
  copy.write({ b: "two" });
  await copy.commit("second");
  copy.write({ c: "three" });
  await copy.ok("push", "-m", "third");
  const before = await copy.json("log");
  await copy.ok("rm", "@-");
  expect((await copy.json("log")).length).toBe(2);
  await copy.ok("undo");
  const after = await copy.json("log");
  const namesOf = (changes: { name: string }[]) => changes.map(({ name }) => name);
  expect(namesOf(after)).toEqual(namesOf(before));
  expect(after[0].parents).toEqual(before[0].parents);
  expect(await statusOf(copy)).toEqual([1, "third"]);
});

test("a sync is undone: the bookmark and the working copy are where they were", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.ok("push", "-m", "first");
  await copy.ok("sync");
  const other = await ann.clone(copy.repository);
  other.write({ b: "other" });
  await other.ok("push", "-m", "other");
  await other.ok("sync");
  await copy.ok("new", "-m", "second");
  copy.write({ a: "two" });
  await copy.ok("sync");
  expect(filesOf(copy)).toEqual({ a: "two", b: "other" });
  await copy.ok("undo");
  expect(await statusOf(copy)).toEqual([1, "second"]);
  expect(filesOf(copy)).toEqual({ a: "two" });
  expect(await copy.json("show", "main")).toMatchObject({ description: "other" });
  await copy.ok("redo");
  expect(filesOf(copy)).toEqual({ a: "two", b: "other" });
});

test("an undo is refused when somebody has built on it, and nothing moves", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  const clone = await ann.clone(copy.repository);
  clone.write({ b: "b" });
  await clone.ok("push", "-m", "on top");
  const failure = await copy.fails("undo", "2");
  expect(failure).toMatchObject({ code: "conflict", exitCode: 5 });
  expect(steady(failure.message)).toBe(
    "operation 2 (commit by ann) cannot be undone: change change-1 stands on change-2, " +
      "which would be hidden",
  );
  expect(failure.hint).toContain("pogo op log");
  expect(await statusOf(copy)).toEqual([1, "first"]);
});

test("local edits in the way keep the working copy where it is, and nothing is lost", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.ok("push", "-m", "first");
  await copy.ok("sync");
  const other = await ann.clone(copy.repository);
  other.write({ b: "other" });
  await other.ok("push", "-m", "other");
  await other.ok("sync");
  await copy.ok("new", "-m", "second");
  copy.write({ a: "two" });
  await copy.ok("sync");
  copy.write({ b: "mine" });
  const { exitCode, stdout, stderr } = await copy.run(["undo"]);
  expect(exitCode).toBe(0);
  expect(steady(stdout)).toBe("undid operation 7 (ann): sync main with change-1\n");
  expect(stderr).toContain('would overwrite local files: "b"');
  expect(stderr).toContain("pogo edit ");
  expect(filesOf(copy)).toEqual({ a: "two", b: "mine" });
  await copy.ok("discard");
  await copy.ok("edit", "main");
  expect(filesOf(copy)).toEqual({ a: "one", b: "other" });
});

test("a working copy that is elsewhere is not touched", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.commit("first");
  copy.write({ a: "two" });
  await copy.ok("push", "-m", "second");
  await copy.ok("edit", "@-");
  expect(await copy.json("undo")).toMatchObject({ workingCopy: "stayed", operation: 4 });
  expect(await statusOf(copy)).toEqual([1, "first"]);
  expect((await copy.json("status")).change.sealed).toBe(false);
});

test("the log tells who did what, and what is undone", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  await copy.ok("bookmark", "set", "main");
  await copy.ok("describe", "-m", "better");
  await copy.ok("undo");
  expect(steady(await copy.ok("op", "log"), { REPOSITORY: copy.repository })).toBe(
    [
      "5 TIME ann undo 4",
      "4 TIME ann describe change-1 (version 2) (undone by 5)",
      "3 TIME ann bookmark main: new at change-1",
      "2 TIME ann push change-1 (version 1)",
      "1 TIME ann create the repository REPOSITORY",
      "",
    ].join("\n"),
  );
  const name = (await copy.json("status")).change.name;
  const shown = await copy.ok("op", "show", "4");
  expect(steady(shown, { NAME: name }).replace(/[0-9a-f]{64}/, "HASH")).toBe(
    [
      "operation 4 (undone by 5)",
      "by ann, TIME",
      "hash HASH",
      "",
      "    describe change-1 (version 2)",
      "",
      "change change-1 version 1 → version 2",
      "    pogo diff --from NAME@1 --to NAME@2",
      "",
    ].join("\n"),
  );
  const [newest] = await copy.json("op", "log", "-n", "1");
  expect(newest).toMatchObject({ number: 5, kind: "undo", user: "ann", undoneBy: null });
  expect(newest.effects.changes[0]).toEqual({
    change: name,
    before: { version: 2, hidden: false },
    after: { version: 1, hidden: false },
  });
  expect(await copy.ok("op", "show", "3")).toContain("bookmark main created at");
  expect(await copy.fails("op", "show", "9")).toMatchObject({ code: "not-found" });
  expect(await copy.ok("op", "verify")).toBe("5 operations, all as they were written\n");
  expect(await copy.fails("undo", "1")).toMatchObject({ code: "usage" });
  expect(await copy.fails("undo", "4")).toMatchObject({
    code: "conflict",
    hint: "bring it back: pogo undo 5",
  });
});

test("the whole repository goes back to how it was, and the working copy with it", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.commit("first");
  await copy.mark("main", "@-");
  copy.write({ a: "two" });
  await copy.commit("second");
  copy.write({ a: "three", b: "b" });
  await copy.publish("third");
  await copy.ok("bookmark", "set", "main");
  expect(steady(await copy.ok("op", "restore", "3"))).toBe(
    "restored everything as it was after operation 3 (2 changes, 1 bookmark)\n" +
      "now at the new draft change-1 (no description)\n",
  );
  expect(filesOf(copy)).toEqual({ a: "one" });
  expect(await copy.json("log", "--all")).toMatchObject([
    { description: "first", bookmarks: ["main"] },
  ]);
  expect(await copy.ok("op", "restore", "3")).toBe(
    "everything is as it was after operation 3 already\n",
  );
  await copy.ok("undo");
  expect(filesOf(copy)).toEqual({ a: "three", b: "b" });
  expect(await copy.json("log")).toMatchObject([
    { description: "third", bookmarks: ["main"] },
    { description: "second" },
    { description: "first" },
  ]);
  await copy.ok("op", "restore", "0");
  expect(filesOf(copy)).toEqual({});
  expect(await copy.json("log", "--all")).toEqual([]);
  expect(await copy.fails("op", "restore", "100")).toMatchObject({ code: "not-found" });
  expect(await copy.fails("op", "restore", "-1")).toMatchObject({ code: "usage" });
});

test("all versions of a change are listed", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.ok("push", "-m", "first");
  const late = await ann.clone(copy.repository);
  await late.ok("edit", "@-");
  copy.write({ a: "two" });
  await copy.ok("push");
  late.write({ a: "late" });
  expect(await late.fails("push")).toMatchObject({ code: "conflict" });
  await copy.ok("describe", "-m", "better");
  expect(steady(await copy.ok("evolog"))).toBe(
    [
      "@ change-1@4 ann TIME",
      "    better",
      "",
      "○ change-1@3 ann TIME diverged: the change was never at it",
      "    first",
      "",
      "○ change-1@2 ann TIME",
      "    first",
      "",
      "○ change-1@1 ann TIME",
      "    first",
      "",
    ].join("\n"),
  );
  const versions = await copy.json("evolog", "@", "-n", "2");
  expect(versions).toMatchObject([
    { number: 4, current: true, diverged: false, author: "ann", description: "better" },
    { number: 3, current: false, diverged: true },
  ]);
});

test("an undo whose command was killed is followed by the next command, once", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  copy.write({ a: "two" });
  await copy.ok("push");
  const child = copy.start(["undo"]);
  await scene.nextCall("UndoOperation");
  child.kill("SIGKILL");
  await child.exited;
  // It may have been killed before it followed, or after.
  const { operation } = await copy.json("undo");
  expect([4, 5]).toContain(operation);
  expect((await copy.json("op", "log")).length).toBe(operation);
  expect(await statusOf(copy)).toEqual(
    operation === 4 ? [1, "first", "a"] : ["draft", "first", "a"],
  );
});

test("what a killed command had asked for is followed if the server did it", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  copy.write({ a: "two" });
  await copy.ok("push");
  const requestId = newRequestId();
  const asked = (id: Uint8Array) => {
    using state = State.open(join(copy.root, ".pogo"));
    state.set("undoing", toHex(id));
  };
  asked(newRequestId());
  expect(await copy.ok("push")).toContain("nothing to push");
  expect(await statusOf(copy)).toEqual([2, "first"]);
  await ann.remote(copy.repository).undoOperation({ requestId, number: 0 });
  asked(requestId);
  const { stdout, stderr } = await copy.run(["push"]);
  expect(stderr).toContain("followed operation 4");
  expect(stdout).toContain("version 3");
  expect(await statusOf(copy)).toEqual([3, "first"]);
});

test("a file that was removed meanwhile stays removed", async () => {
  const copy = await ann.init({ a: "one", b: "b" });
  await copy.publish("first");
  rmSync(join(copy.root, "b"));
  await copy.ok("push");
  await copy.ok("undo");
  expect(await statusOf(copy)).toEqual([1, "first", "b"]);
  expect(filesOf(copy)).toEqual({ a: "one" });
});
