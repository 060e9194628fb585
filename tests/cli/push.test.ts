import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { newChangeName } from "#client/change.ts";
import { newRequestId } from "#client/remote.ts";
import { openWorkspace } from "#client/workspace.ts";
import { sha256 } from "#core/hash.ts";
import { openScene, steady, type Person, type Scene } from "../support/scene.ts";
import { readFiles, type Files } from "../support/workspace.ts";

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
}, 60_000);
afterAll(() => scene[Symbol.asyncDispose]());

test("a push says what it made, and a clean one that there is nothing", async () => {
  const copy = await ann.init({ "a.txt": "1\n", "b.txt": "2\n" });
  const draft = (await copy.json("status")).change;
  expect(await copy.json("push", "-m", "first")).toEqual({
    outcome: "created",
    change: draft.name,
    prefix: expect.any(String),
    version: 1,
    draft: false,
    files: [
      { path: "a.txt", status: "added" },
      { path: "b.txt", status: "added" },
    ],
    sent: { objects: 2, bytes: expect.any(Number), trees: 1 },
  });
  expect(await copy.ok("push")).toBe("nothing to push: the working copy is clean\n");
  expect(await copy.json("push")).toMatchObject({
    outcome: "unchanged",
    version: 1,
    files: [],
    sent: { objects: 0, bytes: 0, trees: 0 },
  });
  copy.write({ "a.txt": "3\n" });
  expect(steady(await copy.ok("push"))).toBe("pushed change-1 version 2 first (1 file)\n");
  expect(steady(await copy.ok("push", "-m", "words"))).toBe(
    "pushed change-1 version 3 words (no files)\n",
  );
  expect(await copy.ok("push", "-m", "words")).toStartWith("nothing to push");
  copy.write({ "a.txt": "4\n" });
  expect(await copy.ok("push", "-q")).toBe("");
});

test("edits of a sealed change become its new child", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  await copy.ok("push", "-m", "first");
  await copy.ok("bookmark", "set", "main");
  copy.write({ "a.txt": "2\n" });
  expect(steady(await copy.ok("push", "-m", "second"))).toMatchInlineSnapshot(`
    "change-1 is sealed: pushed your edits as its new child change-2 second (1 file)
    "
  `);
  expect(await copy.ok("cat", "main", "a.txt")).toBe("1\n");
  expect(await copy.ok("cat", "@", "a.txt")).toBe("2\n");
  // The child is nobody else's: it is pushed in place.
  copy.write({ "a.txt": "3\n" });
  expect(await copy.json("push")).toMatchObject({ outcome: "version-added", version: 2 });
});

test("another's change, and one that has children, is not rewritten", async () => {
  const bob = await scene.person("bob");
  const anns = await ann.init({ "a.txt": "1\n" }, "--public");
  await anns.ok("push", "-m", "first");
  const { name } = (await anns.json("status")).change;
  await anns.ok("member", "set", anns.repository, "bob", "write");
  const bobs = await bob.clone(anns.repository);
  await bobs.ok("edit", name);
  expect((await bobs.json("status")).change).toMatchObject({ name, sealed: true });
  bobs.write({ "b.txt": "bob's\n" });
  const pushed = await bobs.json("push");
  expect(pushed.outcome).toBe("child-created");
  expect((await bobs.json("status")).change.parents).toEqual([name]);
  // Ann's change has a child now.
  anns.write({ "a.txt": "2\n" });
  expect(await anns.json("push")).toMatchObject({ outcome: "child-created" });
  const all = await anns.json("log", "--all");
  expect(all.map((change: { author: string }) => change.author).sort()).toEqual([
    "ann",
    "ann",
    "bob",
  ]);
});

test("of two pushes to one change the second is told, and both are kept", async () => {
  const first = await ann.init({ "a.txt": "1\n" });
  await first.ok("push", "-m", "shared");
  const { name } = (await first.json("status")).change;
  const second = await ann.clone(first.repository);
  await second.ok("edit", name);
  first.write({ "a.txt": "theirs\n" });
  await first.ok("push");
  second.write({ "a.txt": "mine\n", "mine.txt": "" });
  const told = await second.run(["push"]);
  expect(told.exitCode).toBe(5);
  expect(told.stdout).toBe("");
  const prefix = (await second.json("status")).change.prefix;
  expect(steady(told.stderr, { "P@": `${prefix}@`, "edit P ": `edit ${prefix} ` })).toBe(
    "pogo: error: ann has pushed change-1 since: it is at version 2, " +
      "and yours is kept as version 3\n" +
      "pogo: hint: pogo diff --from P@2 --to P@3 shows the difference; " +
      "pogo edit P goes on from theirs, pogo new from yours\n",
  );
  expect(steady(await second.ok("status"), { "P@": `${prefix}@` })).toMatchInlineSnapshot(`
    "change change-1 (version 3)
        shared
    others have pushed version 2: pogo show P@2
    no file changed
    "
  `);
  // Both are there, for both, and what the hints say works.
  expect(await first.ok("cat", `${name}@2`, "a.txt")).toBe("theirs\n");
  expect(await first.ok("cat", `${name}@3`, "a.txt")).toBe("mine\n");
  expect(await second.ok("cat", "@", "a.txt")).toBe("mine\n");
  expect(await second.ok("diff", "--from", `${prefix}@2`, "--to", `${prefix}@3`)).toContain(
    "-theirs\n+mine\n",
  );
  expect(await second.ok("show", `${prefix}@2`)).toContain("version 2");
  await second.ok("edit", prefix);
  expect(readFiles(second.root)).toEqual({ "a.txt": "theirs\n" });
  expect((await second.json("status")).change).toMatchObject({ name, version: 2 });
  second.write({ "a.txt": "both\n" });
  expect(await second.json("push")).toMatchObject({ outcome: "version-added", version: 4 });
});

test("after a diverged push, new goes on from one's own version", async () => {
  const first = await ann.init({ "a.txt": "1\n" });
  await first.ok("push", "-m", "shared");
  const { name } = (await first.json("status")).change;
  const second = await ann.clone(first.repository);
  await second.ok("edit", name);
  first.write({ "a.txt": "theirs\n" });
  await first.ok("push");
  second.write({ "a.txt": "mine\n" });
  expect(await second.fails("commit", "-m", "mine")).toMatchObject({ code: "conflict" });
  await second.ok("new", "-m", "on mine");
  expect(readFiles(second.root)).toEqual({ "a.txt": "mine\n" });
  second.write({ "b.txt": "" });
  await second.ok("push");
  expect(await second.ok("cat", "@", "a.txt")).toBe("mine\n");
  expect(await second.ok("cat", name, "a.txt")).toBe("theirs\n");
});

const odd: Files = {
  "with space.txt": "1",
  "quote'\"`$(x).txt": "2",
  "new\nline\ttab": "3",
  "emoji \u{1f680}.txt": "4",
  "\u202eright to left": "5",
  "\u200fmark": "6",
  "-dash": "7",
  "back\\slash": "8",
  "\u0001control": "9",
  "deep/er/and/deeper/file": "10",
  empty: "",
  "empty.sh": { run: "" },
  "run.sh": { run: "#!/bin/sh\n" },
  "deep/link": { link: "../run.sh" },
  "link to directory": { link: "deep" },
  "dangling link": { link: "nothing here" },
};

test("files of every kind and name come back as they were", async () => {
  const copy = await ann.init(odd);
  await copy.ok("push", "-m", "odd");
  const clone = await ann.clone(copy.repository);
  expect(readFiles(clone.root)).toEqual(readFiles(copy.root));
  expect((await clone.json("status")).clean).toBe(true);
  expect(await copy.ok("cat", "@", "new\nline\ttab")).toBe("3");
  chmodSync(join(clone.root, "empty"), 0o755);
  rmSync(join(clone.root, "dangling link"));
  clone.write({ "dangling link": "a file now" });
  const { files } = await clone.json("push", "-m", "kinds");
  expect(files).toEqual([
    { path: "dangling link", status: "modified" },
    { path: "empty", status: "modified" },
  ]);
  await copy.ok("edit", (await clone.json("status")).change.name);
  expect(readFiles(copy.root)).toEqual(readFiles(clone.root));
});

test("what cannot be published is refused with its path, before anything is sent", async () => {
  const copy = await ann.init({ "good.txt": "good\n", "dir/Readme": "1" });
  const refusal = async () => {
    const failure = await copy.fails("push", "-m", "x");
    expect(failure.exitCode).toBe(2);
    return failure.message;
  };
  copy.write({ "dir/readme": "2" });
  expect(await refusal()).toMatchInlineSnapshot(
    `""dir/readme" differs from "Readme" in case or accents' spelling only"`,
  );
  rmSync(join(copy.root, "dir/readme"));
  for (const link of ["/etc/passwd", "../../outside", "../.pogo/state.sqlite"]) {
    copy.write({ "dir/link": { link } });
    expect(await refusal()).toContain('"dir/link"');
    rmSync(join(copy.root, "dir/link"));
  }
  expect(Bun.spawnSync(["mkfifo", join(copy.root, "dir/pipe")]).exitCode).toBe(0);
  expect(await refusal()).toMatchInlineSnapshot(`""dir/pipe" is a socket, a pipe or a device"`);
  rmSync(join(copy.root, "dir/pipe"));
  const notUtf8 = Buffer.concat([Buffer.from(`${copy.root}/dir/`), Buffer.from([0x66, 0xff])]);
  writeFileSync(notUtf8, "");
  expect(await refusal()).toMatchInlineSnapshot(`""dir/f�" has a name that is not valid UTF-8"`);
  rmSync(notUtf8);
  expect(await copy.json("log", "--all")).toEqual([]);
  // Nothing of the above was sent, and nothing keeps it from being sent now.
  expect((await copy.json("push", "-m", "good")).sent).toMatchObject({ objects: 2, trees: 2 });
});

test("names that differ in case only are pushed once that is allowed", async () => {
  const copy = await ann.init({ a: "1", A: "2" });
  const { message, hint, exitCode } = await copy.fails("push");
  expect([message, hint]).toMatchInlineSnapshot(`
    [
      ""a" differs from "A" in case or accents' spelling only",
      "rename one of them, or allow such names here: pogo push --case-sensitive",
    ]
  `);
  expect(exitCode).toBe(2);
  await copy.ok("push", "--case-sensitive", "-m", "both");
  expect(readFiles((await ann.clone(copy.repository)).root)).toEqual({ a: "1", A: "2" });
});

test("ignored files stay at home, unless they are asked for", async () => {
  const copy = await ann.init({
    ".gitignore": "*.log\n/build/\n",
    ".pogoignore": "*.tmp\n!keep.log\n",
    "a.log": "1",
    "keep.log": "2",
    "b.tmp": "3",
    "build/out": "4",
    "src/build/in": "5",
    "src/.gitignore": "!c.log\n",
    "src/c.log": "6",
    ".git/config": "7",
  });
  const names = (files: { path: string }[]) => files.map(({ path }) => path);
  expect(names((await copy.json("status")).files)).toEqual([
    ".gitignore",
    ".pogoignore",
    "keep.log",
    "src/.gitignore",
    "src/build/in",
    "src/c.log",
  ]);
  await copy.ok("push", "-m", "without");
  const pushed = await copy.json("push", "--include-ignored", "-m", "with");
  expect(names(pushed.files)).toEqual(["a.log", "b.tmp", "build/out"]);
});

test("an unreadable file or directory stops the push", async () => {
  const copy = await ann.init({ "a.txt": "1", "secret/b.txt": "2" });
  const asUser = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all"] : [];
  chmodSync(join(copy.root, "secret"), 0o000);
  const { stderr, exitCode } = await copy.run(["push", "-m", "x"], { through: asUser });
  chmodSync(join(copy.root, "secret"), 0o755);
  expect(stderr).toMatchInlineSnapshot(`
    "pogo: error: cannot read "secret": permission denied
    pogo: hint: make it readable, or list it in .pogoignore
    "
  `);
  expect(exitCode).toBe(6);
  expect(await copy.json("log", "--all")).toEqual([]);
});

test("what was sent to a server that has been restored from an older backup is sent again", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  const draft = (await copy.json("status")).change;
  {
    using workspace = openWorkspace(copy.root);
    // A push that was killed before it heard the answer, of a tree that the server has no more.
    workspace.state.setPendingPush({
      requestId: newRequestId(),
      change: draft.name,
      expectedVersion: 0,
      tree: sha256(Buffer.from("gone with the disk")),
      parents: [],
      description: "lost",
      child: newChangeName(),
    });
  }
  expect(await copy.json("push", "-m", "first")).toMatchObject({
    outcome: "created",
    change: draft.name,
    sent: { objects: 1, trees: 1 },
  });
  expect(readFiles((await ann.clone(copy.repository)).root)).toEqual({ "a.txt": "1\n" });
});

test("Ctrl-C ends a push with one line, and the next push completes it", async () => {
  const copy = await ann.init({});
  mkdirSync(join(copy.root, "big"));
  const noise = new Uint8Array(30_000_000);
  for (let at = 0; at < noise.length; at += 65_536) {
    crypto.getRandomValues(noise.subarray(at, at + 65_536));
  }
  writeFileSync(join(copy.root, "big/noise"), noise);
  const asked = scene.nextCall("FindMissing");
  await using child = copy.start(["push", "-m", "large"]);
  // Now it begins to send.
  await asked;
  child.kill("SIGINT");
  expect(await child.stderr.text()).toBe("pogo: interrupted\n");
  expect(await child.exited).toBe(130);
  expect((await copy.json("push", "-m", "large")).outcome).toBe("created");
  const clone = await ann.clone(copy.repository);
  expect(readFileSync(join(clone.root, "big/noise")).equals(noise)).toBe(true);
});
