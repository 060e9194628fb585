import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";

import { publish } from "../support/publish.ts";
import { openScene, steady, type Copy, type Person, type Scene } from "../support/scene.ts";

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
}, 60_000);
afterAll(() => scene[Symbol.asyncDispose]());

type Listed = { name: string; prefix: string; description: string };

describe("a history of four changes", () => {
  let copy: Copy;
  let names: Record<string, string>;
  beforeAll(async () => {
    copy = await ann.init({ "a.txt": "1\n" });
    const commit = async (text: string) => (await copy.json("commit", "-m", text)).change;
    const first = await commit("first\n\nwith a body\n");
    copy.write({ "dir/b.txt": "1\n" });
    const second = await commit("second");
    copy.write({ "a.txt": "2\n", "dir/c.txt": "1\n" });
    const third = await commit("third");
    await copy.ok("new", second, "-m", "aside");
    copy.write({ "aside.txt": "" });
    await copy.ok("push");
    const aside = (await copy.json("status")).change.name;
    await copy.ok("bookmark", "set", "main", third);
    await copy.ok("new", third, "-m", "a draft");
    names = { first, second, third, aside };
  }, 60_000);
  const subjects = (changes: Listed[]) => {
    return changes.map(({ description }) => description.split("\n")[0]);
  };

  test("log shows people the draft, and programs what the server has", async () => {
    expect(steady(await copy.ok("log"))).toMatchInlineSnapshot(`
      "@ change-1 draft
          a draft

      ○ change-2 ann TIME main
          third

      ○ change-3 ann TIME
          second

      ○ change-4 ann TIME
          first

          with a body
      "
    `);
    const changes = await copy.json("log");
    expect(subjects(changes)).toEqual(["third", "second", "first"]);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(changes[0]).toEqual({
      name: names["third"],
      prefix: expect.any(String),
      description: "third",
      author: "ann",
      parents: [names["second"]],
      bookmarks: ["main"],
      createdAt: time,
      updatedAt: time,
      conflicted: false,
      sealed: true,
      version: 1,
      currentVersion: 1,
    });
    expect(changes[2].parents).toEqual([]);
    for (const { name, prefix } of changes) expect(name).toStartWith(prefix);
  });

  test("log takes a start, a number, paths, or everything", async () => {
    expect(subjects(await copy.json("log", "-r", "@~2"))).toEqual(["second", "first"]);
    expect(subjects(await copy.json("log", "-n", "1"))).toEqual(["third"]);
    expect(subjects(await copy.json("log", "a.txt"))).toEqual(["third", "first"]);
    expect(subjects(await copy.json("log", "dir"))).toEqual(["third", "second"]);
    expect(subjects(await copy.json("log", "dir/b.txt", "-r", "main"))).toEqual(["second"]);
    const all = subjects(await copy.json("log", "--all"));
    expect(all.toSorted()).toEqual(["aside", "first", "second", "third"]);
    expect(all.slice(-2)).toEqual(["second", "first"]);
    for (const wrong of [["-n", "0"], ["-n", "x"], ["--all", "-r", "@"], ["../.."]]) {
      expect((await copy.run(["log", ...wrong])).exitCode).toBe(2);
    }
  });

  test("a revision is a base and steps", async () => {
    const expected = {
      "@-": "third",
      "@~1": "third",
      main: "third",
      "main-": "second",
      "main--": "first",
      "main~2": "first",
      "@~2@1": "second",
    };
    const shown = Object.keys(expected).map(async (revision) => {
      const { name } = await copy.json("show", revision);
      return [revision, Object.keys(names).find((word) => names[word] === name)];
    });
    expect(Object.fromEntries(await Promise.all(shown))).toEqual(expected);
    const wrong = { "main~3": 3, nowhere: 3, "main@2": 3, "@@1": 3, "ma in": 2, "~2": 2, "": 2 };
    const refused = Object.keys(wrong).map(async (revision) => {
      return [revision, (await copy.fails("show", revision)).exitCode];
    });
    expect(Object.fromEntries(await Promise.all(refused))).toEqual(wrong);
  });

  test("show tells of a change and the files that it touches", async () => {
    expect(steady(await copy.ok("show", "main"))).toMatchInlineSnapshot(`
      "change change-1 change-1 main
      author ann, TIME
      version 1, TIME
      parent change-2 second

          third

      2 files:
        M a.txt
        A dir/c.txt
      "
    `);
    expect((await copy.json("show", "main")).files).toEqual([
      { path: "a.txt", status: "modified" },
      { path: "dir/c.txt", status: "added" },
    ]);
    await copy.ok("edit", names["aside"]!);
    expect(steady(await copy.ok("show"))).toMatchInlineSnapshot(`
      "change change-1 change-1
      author ann, TIME
      version 1, TIME
      parent change-2 second

          aside

      1 file:
        A aside.txt
      "
    `);
    await copy.ok("describe", "-m", "put aside");
    expect(steady(await copy.ok("show", "@@1"))).toContain("version 1 (the change is at 2)");
    expect((await copy.json("show", "@@1")).description).toBe("aside");
  });
});

test("the log of an empty repository, and of a draft in it, is empty for programs", async () => {
  const copy = await ann.init();
  expect(await copy.json("log")).toEqual([]);
  expect(await copy.json("log", "--all")).toEqual([]);
  expect(steady(await copy.ok("log"))).toBe("@ change-1 draft\n    (no description)\n");
  expect(await copy.fails("show", "@-")).toMatchObject({ code: "not-found" });
});

test("the log of a path is empty only when there is, or was, such a path", async () => {
  const copy = await ann.init({ "kept.txt": "1\n", "dir/gone.txt": "1\n" });
  await copy.commit("first");
  rmSync(join(copy.root, "dir"), { recursive: true });
  await copy.commit("second");
  copy.write({ "new.txt": "", ".gitignore": "ignored\n", ignored: "" });
  const log = async (...args: string[]) => {
    const listed: Listed[] = await copy.json("log", ...args);
    return listed.map(({ description }) => description);
  };
  expect(await log("dir")).toEqual(["second", "first"]);
  expect(await log("dir/gone.txt", "new.txt")).toEqual(["second", "first"]);
  for (const path of ["new.txt", "ignored", "."]) {
    expect([path, await log("-r", "@-", path)]).toEqual([
      path,
      path === "." ? ["second", "first"] : [],
    ]);
  }
  // It is in the history of another change.
  await copy.ok("push", "-m", "third");
  await copy.ok("edit", "@--");
  expect(await log("new.txt")).toEqual([]);
  for (const paths of [["nope"], ["kept.txt", "nope"], ["kept.txt/nope"], ["--all", "nope"]]) {
    expect(await copy.fails("log", ...paths)).toEqual({
      code: "not-found",
      message: expect.stringMatching(/^".*nope" is neither in the working copy nor in any change$/),
      hint: "see what there is: pogo ls",
      exitCode: 3,
    });
  }
  expect(await (await ann.init()).fails("log", "nope")).toMatchObject({ exitCode: 3 });
}, 30_000);

test("a log that is cut says so on stderr, unless a number was asked for", async () => {
  const copy = await ann.init();
  const remote = ann.remote(copy.repository);
  for (let count = 0; count < 21; count++) await publish(remote, { a: "1" });
  const cut = await copy.run(["log", "--all"]);
  expect(cut.stderr).toBe("\nolder changes are left out: -n 100 shows more\n");
  // With the draft.
  expect(cut.stdout.split("\n\n")).toHaveLength(21);
  expect((await copy.ok("log", "--all", "-n", "3")).split("\n\n")).toHaveLength(4);
  expect(await copy.json("log", "--all")).toHaveLength(20);
});

test("a prefix names a change if it is the only one, and else its candidates are listed", async () => {
  const copy = await ann.init();
  const remote = ann.remote(copy.repository);
  const [one, other, third] = ["kkkkkkkkkkkkkkkk", "kkkkllllllllllll", "lkkkkkkkkkkkkkkk"] as const;
  for (const change of [one, other, third]) await publish(remote, { a: "1" }, { change });
  const prefixes = (await copy.json("log", "--all")).map(({ prefix }: Listed) => prefix);
  expect(prefixes.toSorted()).toEqual(["kkkkk", "kkkkl", "l"]);
  expect((await copy.json("show", "kkkkl")).name).toBe(other);
  expect((await copy.json("show", "l")).name).toBe(third);
  expect((await copy.json("show", third)).name).toBe(third);
  expect(await copy.fails("show", "kkkk")).toEqual({
    code: "usage",
    message: `"kkkk" names several changes: ${one}, ${other}`,
    hint: "type more of the name",
    exitCode: 2,
  });
});

test("bookmarks are set, moved, listed and deleted", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  expect(await copy.fails("bookmark", "set", "main")).toMatchObject({
    code: "not-found",
    hint: "pogo push",
  });
  expect(await copy.json("bookmark", "list")).toEqual([]);
  await copy.ok("commit", "-m", "first");
  copy.write({ "a.txt": "2\n" });
  await copy.ok("push", "-m", "second");
  const [second, first] = await copy.json("log");
  expect(steady(await copy.ok("bookmark", "set", "main", "@-"))).toBe(
    "created main, at change-1 first\n",
  );
  expect(steady(await copy.ok("b", "set", "main", "@-"))).toBe(
    "main is at change-1 first already\n",
  );
  expect(await copy.json("b", "set", "main")).toEqual({
    name: "main",
    change: second.name,
    description: "second",
    updatedAt: expect.any(String),
    previousChange: first.name,
  });
  await copy.ok("b", "s", "release/v1.2.0+x", first.prefix);
  expect(steady(await copy.ok("b", "list"))).toMatchInlineSnapshot(`
    "main              change-1 second
    release/v1.2.0+x  change-2 first
    "
  `);
  expect((await copy.json("status")).change).toMatchObject({ bookmarks: ["main"], sealed: true });
  const lost = await copy.fails("b", "set", "main", first.name, "--expect", first.name);
  expect(lost).toMatchObject({ code: "conflict", exitCode: 5 });
  for (const wrong of ["-x", "a b", "@", "", "x-", "x~2"]) {
    expect((await copy.run(["b", "set", "--", wrong])).exitCode).toBe(2);
  }
  expect(steady(await copy.ok("b", "delete", "main"))).toBe(
    "deleted main, which was at change-1 second\n",
  );
  expect(await copy.fails("b", "rm", "main")).toMatchObject({ exitCode: 3 });
  expect((await copy.json("status")).change).toMatchObject({ bookmarks: [], sealed: false });
});

test("a bookmark goes before the prefix that it is spelled like", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  await copy.commit("first");
  copy.write({ "a.txt": "2\n" });
  await copy.publish("second");
  const [second, first]: Listed[] = await copy.json("log");
  await copy.ok("b", "set", first!.prefix, second!.name);
  expect((await copy.json("show", first!.prefix)).name).toBe(second!.name);
  // What is printed as the prefix from now on still names the change.
  const [, again]: Listed[] = await copy.json("log");
  expect((await copy.json("show", again!.prefix)).name).toBe(first!.name);
});
