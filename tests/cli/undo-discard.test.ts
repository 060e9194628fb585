/** Bringing back what was discarded: the real program in working copies. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";

import { State } from "#client/state.ts";
import { startMs } from "../support/postgres.ts";
import { openScene, type Copy, type Person, type Scene } from "../support/scene.ts";
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

test("what was discarded comes back, and goes again", async () => {
  const copy = await ann.init({ a: "one", d: "d" });
  await copy.ok("push", "-m", "first");
  copy.write({ a: "edited", "new/b": "b" });
  rmSync(join(copy.root, "d"));
  await copy.ok("discard");
  expect(filesOf(copy)).toEqual({ a: "one", d: "d" });
  expect(await copy.ok("undo")).toBe(
    [
      "brought back 3 changes:",
      "  M a",
      "  D d",
      "  A new/b",
      "what stood there instead is kept in .pogo/discarded/2",
      "",
    ].join("\n"),
  );
  expect(filesOf(copy)).toEqual({ a: "edited", "new/b": "b" });
  expect(await statusOf(copy)).toEqual([1, "first", "a", "d", "new/b"]);
  expect(await copy.ok("redo")).toContain("discarded again 3 changes");
  expect(filesOf(copy)).toEqual({ a: "one", d: "d" });
  await copy.ok("undo");
  expect(filesOf(copy)).toEqual({ a: "edited", "new/b": "b" });
});

test("of a discard and an operation the later is undone first", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.ok("push", "-m", "first");
  copy.write({ b: "discarded" });
  await copy.ok("discard");
  copy.write({ a: "two" });
  await copy.ok("push");
  expect(await copy.json("undo")).toMatchObject({ operation: 4, discard: null });
  expect(await copy.json("undo")).toMatchObject({
    operation: null,
    discard: { files: [{ path: "b", status: "added" }] },
  });
  expect(filesOf(copy)).toEqual({ a: "two", b: "discarded" });
  expect(await copy.json("undo")).toMatchObject({ operation: 5 });
  expect(await statusOf(copy)).toEqual(["draft", "first", "a", "b"]);
  for (const discard of [null, {}, null]) {
    const redone = await copy.json("redo");
    if (discard === null) expect(redone.discard).toBe(null);
    else expect(redone).toMatchObject({ operation: null, discard });
  }
  expect(await statusOf(copy)).toEqual([2, "first"]);
});

test("without the server only what was discarded comes back, and only if that is what is meant", async () => {
  const copy = await ann.init({ a: "one" });
  await copy.ok("push", "-m", "first");
  copy.write({ a: "edited" });
  await copy.ok("discard");
  {
    using state = State.open(join(copy.root, ".pogo"));
    state.setBinding({ ...state.binding, server: "http://127.0.0.1:1" });
  }
  const failure = await copy.fails("undo");
  expect(failure).toMatchObject({ code: "unavailable", exitCode: 7 });
  expect(failure.hint).toContain("pogo undo --discard");
  expect(filesOf(copy)).toEqual({ a: "one" });
  await copy.ok("undo", "--discard");
  expect(filesOf(copy)).toEqual({ a: "edited" });
  expect(await copy.fails("undo", "--discard")).toMatchObject({ code: "not-found" });
  await copy.ok("redo", "--discard");
  expect(filesOf(copy)).toEqual({ a: "one" });
  expect(await copy.fails("undo", "3", "--discard")).toMatchObject({ code: "usage" });
});
