import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { openScene, steady, type Person, type Scene } from "../support/scene.ts";
import { readFiles } from "../support/workspace.ts";

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
}, 60_000);
afterAll(() => scene[Symbol.asyncDispose]());

test("commit publishes, and goes on with a draft on top", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  expect(steady(await copy.ok("commit", "-m", "first"))).toBe(
    "committed change-1 first (1 file)\n",
  );
  const { change } = await copy.json("status");
  expect(change).toMatchObject({ draft: true, description: "" });
  copy.write({ "a.txt": "2\n", "b.txt": "" });
  const committed = await copy.json("commit", "-m", "second");
  expect(committed).toEqual({
    outcome: "created",
    change: change.name,
    prefix: expect.any(String),
    version: 1,
    draft: expect.stringMatching(/^[k-z]{16}$/),
    files: [
      { path: "a.txt", status: "modified" },
      { path: "b.txt", status: "added" },
    ],
    sent: expect.objectContaining({ trees: 1 }),
  });
  expect((await copy.json("status")).change).toMatchObject({
    name: committed.draft,
    parents: [change.name],
  });
  expect((await copy.json("show", "@-")).description).toBe("second");

  const refused = await copy.run(["commit"]);
  expect(refused.stderr).toMatchInlineSnapshot(`
    "pogo: error: nothing changed, so there is nothing to commit
    pogo: hint: pogo commit -m TEXT makes a change without files
    "
  `);
  expect(refused.exitCode).toBe(2);
  expect(steady(await copy.ok("commit", "-m", "without files"))).toBe(
    "committed change-1 without files (no files)\n",
  );
  copy.write({ "c.txt": "" });
  // Nobody is there to be asked for a description.
  expect(steady(await copy.ok("commit"))).toBe("committed change-1 (no description) (1 file)\n");
});

test("commit of a published change, and of a sealed one", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  await copy.ok("push", "-m", "first");
  expect((await copy.run(["commit"])).exitCode).toBe(2);
  expect(steady(await copy.ok("commit", "-m", "first"))).toBe(
    "committed change-1 first (published before)\n",
  );
  await copy.ok("edit", "@-");
  copy.write({ "a.txt": "2\n" });
  await copy.ok("new", "-m", "on top");
  await copy.ok("edit", "@-");
  copy.write({ "a.txt": "3\n" });
  await copy.ok("push", "-m", "has a child soon");
  await copy.ok("new");
  copy.write({ "b.txt": "" });
  await copy.ok("push", "-m", "the child");
  await copy.ok("edit", "@-");
  copy.write({ "a.txt": "4\n" });
  expect(steady(await copy.ok("commit", "-m", "beside"))).toBe(
    "change-1 is sealed: committed your edits as its new child change-2 beside (1 file)\n",
  );
});

test("new publishes, and starts a draft on what is named", async () => {
  const copy = await ann.init();
  expect(steady(await copy.ok("new", "-m", "still the same"))).toBe("new draft change-1\n");
  expect((await copy.json("status")).change).toMatchObject({
    description: "still the same",
    parents: [],
  });
  copy.write({ "a.txt": "1\n" });
  expect(steady(await copy.ok("new"))).toMatchInlineSnapshot(`
    "pushed change-1 still the same (1 file)
    new draft change-2 on top of change-1 still the same
    "
  `);
  const [first] = await copy.json("log");
  copy.write({ "a.txt": "2\n" });
  // A mistyped name must not publish anything.
  expect(await copy.fails("new", "nowhere")).toMatchObject({ code: "not-found", exitCode: 3 });
  expect(await copy.json("log")).toHaveLength(1);
  expect(await copy.json("new", first.prefix, "-m", "aside")).toMatchObject({
    description: "aside",
    parents: [first.name],
    draft: true,
    pushed: { outcome: "created", version: 1 },
  });
  expect(readFiles(copy.root)).toEqual({ "a.txt": "1\n" });
  expect(await copy.json("log", "--all")).toHaveLength(2);
  expect(await copy.json("log")).toHaveLength(1);
  expect((await copy.run(["new", first.name, "main"])).exitCode).toBe(3);
  expect((await copy.run(["new", first.name, first.name])).exitCode).toBe(2);
});

test("edit publishes, and makes another change the current one", async () => {
  const copy = await ann.init({ "a.txt": "1\n", "dir/b.txt": "1\n", "dir/c.txt": "1\n" });
  await copy.ok("commit", "-m", "first");
  rmSync(join(copy.root, "dir"), { recursive: true });
  copy.write({ "a.txt": "2\n", dir: "a file now" });
  await copy.ok("commit", "-m", "second");
  copy.write({ "c.txt": "unpublished\n" });
  expect(await copy.fails("edit", "nowhere")).toMatchObject({ code: "not-found" });
  expect(await copy.json("log")).toHaveLength(2);
  const third = (await copy.json("status")).change.name;
  expect(steady(await copy.ok("edit", "@~2"))).toMatchInlineSnapshot(`
    "pushed change-1 (no description) (1 file)
    now at change-2 first (sealed: a push makes a new change on top)
    "
  `);
  expect(readFiles(copy.root)).toEqual({
    "a.txt": "1\n",
    "dir/b.txt": "1\n",
    "dir/c.txt": "1\n",
  });
  await copy.ok("checkout", third);
  expect(readFiles(copy.root)).toEqual({
    "a.txt": "2\n",
    "c.txt": "unpublished\n",
    dir: "a file now",
  });
  await copy.ok("push", "-m", "third");
  const old = await copy.fails("edit", `${third}@1`);
  expect(steady(old.message)).toBe("change-1@1 is an old version: the change is at version 2");
  expect(old.exitCode).toBe(2);
  // The hint works as it is typed.
  const [typed = ""] = /pogo new \S+/.exec(old.hint ?? "") ?? [];
  await copy.ok(...typed.split(" ").slice(1));
  expect((await copy.json("status")).change.parents).toEqual([third]);
});

test("edit keeps files that are ignored, and refuses to overwrite them", async () => {
  const copy = await ann.init({ ".gitignore": "*.log\n", "a.txt": "1\n" });
  await copy.ok("commit", "-m", "first");
  copy.write({ "a.log": "published\n" });
  await copy.ok("push", "--include-ignored", "-m", "second");
  const second = (await copy.json("status")).change.name;
  await copy.ok("edit", "@-");
  expect(readFiles(copy.root)).not.toHaveProperty("a.log");
  copy.write({ "a.log": "precious\n", "b.log": "kept\n" });
  const { stderr, exitCode } = await copy.run(["edit", second]);
  expect(stderr).toMatchInlineSnapshot(`
    "pogo: error: would overwrite local files: "a.log"
    pogo: hint: move them away, then run the command again
    "
  `);
  expect(exitCode).toBe(5);
  expect(readFiles(copy.root)).toMatchObject({ "a.log": "precious\n", "b.log": "kept\n" });
  rmSync(join(copy.root, "a.log"));
  await copy.ok("edit", second);
  expect(readFiles(copy.root)).toMatchObject({ "a.log": "published\n", "b.log": "kept\n" });
});

test("discard puts back what is asked for, and says what it threw away", async () => {
  const copy = await ann.init({ "a.txt": "1\n", "dir/b.txt": "1\n", "dir/run": { run: "1\n" } });
  await copy.ok("commit", "-m", "first");
  const committed = readFiles(copy.root);
  expect(await copy.ok("discard")).toBe("nothing to discard\n");
  rmSync(join(copy.root, "dir"), { recursive: true });
  copy.write({ "a.txt": "2\n", "new/c.txt": "new\n", "dir/run": "2\n" });
  expect(await copy.ok("discard", "dir", "new")).toMatchInlineSnapshot(`
    "discarded 3 changes:
      D dir/b.txt
      M dir/run
      A new/c.txt
    what they were is kept in .pogo/discarded/1: pogo undo brings it back
    "
  `);
  expect(readFiles(copy.root)).toEqual({ ...committed, "a.txt": "2\n" });
  const kept = join(copy.root, ".pogo/discarded/1");
  expect(readFiles(kept)).toEqual({ "dir/run": "2\n", "new/c.txt": "new\n" });
  expect(await copy.json("discard")).toEqual({
    files: [{ path: "a.txt", status: "modified" }],
    keptIn: ".pogo/discarded/2",
    notTouched: [],
  });
  expect(readFiles(copy.root)).toEqual(committed);
  expect(await copy.fails("discard", "nowhere.txt")).toMatchObject({ exitCode: 3 });
});

test("describe sets the description of a draft, a published and an older change", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  expect(steady(await copy.ok("describe", "-m", "words"))).toBe("described draft change-1 words\n");
  expect(await copy.json("log", "--all")).toEqual([]);
  await copy.ok("push");
  const { name } = (await copy.json("status")).change;
  expect(await copy.json("desc", "-m", "more words")).toMatchObject({
    name,
    description: "more words",
    version: 2,
  });
  expect((await copy.json("status")).change).toMatchObject({
    description: "more words",
    version: 2,
  });
  await copy.ok("new");
  await copy.ok("rephrase", name, "-m", "of the parent");
  expect(await copy.ok("status")).toContain("of the parent");
  copy.write({ "a.txt": "2\n" });
  expect(await copy.json("push")).toMatchObject({ outcome: "created" });
});

test("describe and commit ask in $EDITOR", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  const none = await copy.run(["describe"]);
  expect(none.stderr).toMatchInlineSnapshot(`
    "pogo: error: no description was given
    pogo: hint: give it with -m TEXT, or set EDITOR
    "
  `);
  expect(none.exitCode).toBe(2);
  const edit = (command: string) =>
    copy.run(["describe"], { environment: { EDITOR: command, VISUAL: "" } });
  await edit("printf 'by hand\\n\\nlong\\n\\n' >");
  expect((await copy.json("status")).change.description).toBe("by hand\n\nlong");
  await edit("sed -i s/hand/tool/");
  expect((await copy.json("status")).change.description).toBe("by tool\n\nlong");
  const failed = await edit("false");
  expect(failed.stderr).toStartWith("pogo: error: the editor failed: false\n");
  expect(failed.exitCode).toBe(2);
  expect((await copy.json("status")).change.description).toBe("by tool\n\nlong");
  expect(readdirSync(join(copy.root, ".pogo")).filter((name) => name.startsWith("edit"))).toEqual(
    [],
  );
});

test("rm of a change in the middle, of the current one, and of a draft's parent", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  const names: string[] = [];
  for (const word of ["first", "second", "third"]) {
    copy.write({ [`${word}.txt`]: word });
    names.push((await copy.json("commit", "-m", word)).change);
  }
  const [first = "", second = "", third = ""] = names;
  await copy.ok("bookmark", "set", "b", second);
  expect(steady(await copy.ok("rm", second))).toMatchInlineSnapshot(`
    "removed change-1 second
    rebased 1 change:
      change-2 third
    moved bookmark b to change-3
    "
  `);
  expect((await copy.json("show", third)).parents).toEqual([first]);
  expect((await copy.json("show", "b")).name).toBe(first);
  expect(await copy.ok("ls", third)).toBe("a.txt\nfirst.txt\nthird.txt\n");
  expect(await copy.fails("show", second)).toMatchObject({ code: "not-found" });
  expect((await copy.json("status")).clean).toBe(true);

  // The draft's parent: the draft stays, on top of what is left.
  const draft = (await copy.json("status")).change.name;
  await copy.ok("rm", "@-");
  const after = await copy.json("status");
  expect(after).toMatchObject({
    clean: true,
    change: { name: draft, draft: true, parents: [first] },
  });

  // The change itself: what it did is an edit of a draft now.
  copy.write({ "third.txt": "third" });
  await copy.ok("push", "-m", "again");
  expect((await copy.json("rm", "@")).removed.name).toBe(draft);
  const last = await copy.json("status");
  expect(last.change).toMatchObject({ draft: true, parents: [first], description: "again" });
  expect(last.files).toEqual([{ path: "third.txt", status: "added" }]);
  expect(readFileSync(join(copy.root, "third.txt"), "utf8")).toBe("third");

  expect(await copy.fails("rm", "@")).toMatchObject({ code: "not-found", exitCode: 3 });
  await copy.ok("edit", first);
  expect(await copy.ok("rm", first)).toContain("deleted bookmark b\n");
  expect((await copy.json("status")).change).toMatchObject({ draft: true, parents: [] });
});
