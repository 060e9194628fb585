import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import {
  chmodSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { openWorkspace } from "#client/workspace.ts";
import { openScene, steady, type Copy, type Person, type Scene } from "../support/scene.ts";

// Root without its capabilities is refused like anybody else.
const asUser = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all"] : [];

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
}, 60_000);
afterAll(() => scene[Symbol.asyncDispose]());

test("status of a draft, of a published and of a sealed change", async () => {
  const copy = await ann.init({ "README.md": "hello\n", "src/main.c": "int main;\n" });
  expect(steady(await copy.ok("status"))).toMatchInlineSnapshot(`
    "change change-1 (draft)
        (no description)
    2 files changed:
      A README.md
      A src/main.c
    "
  `);
  await copy.ok("push", "-m", "first\n\nand more of it");
  expect(steady(await copy.ok("st"))).toMatchInlineSnapshot(`
    "change change-1 (version 1)
        first

        and more of it
    no file changed
    "
  `);
  await copy.ok("bookmark", "set", "main");
  copy.write({ "README.md": "hello again\n", 'odd "name"\n': "", "\u202egnp.exe": "" });
  expect(steady(await copy.ok("status"))).toMatchInlineSnapshot(`
    "change change-1 (version 1, sealed) main
        first

        and more of it
    3 files changed, which a push makes a new change of:
      M README.md
      A "odd \\"name\\"\\n"
      A "\\342\\200\\256gnp.exe"
    "
  `);
  await copy.ok("commit", "-m", "second");
  expect(steady(await copy.ok("status"))).toMatchInlineSnapshot(`
    "change change-1 (draft)
        (no description)
    parent change-2 second
    no file changed
    "
  `);
});

test("status --json has one shape for drafts and published changes", async () => {
  const copy = await ann.init({ "b.txt": "b", "a.txt": "a" });
  const draft = await copy.json("status");
  const { name, prefix } = draft.change;
  expect(name).toMatch(/^[k-z]{16}$/);
  expect(name).toStartWith(prefix);
  expect(draft).toEqual({
    change: {
      name,
      prefix,
      description: "",
      parents: [],
      bookmarks: [],
      sealed: false,
      conflicted: false,
      draft: true,
      version: 0,
    },
    clean: false,
    conflicts: [],
    files: [
      { path: "a.txt", status: "added" },
      { path: "b.txt", status: "added" },
    ],
  });
  await copy.ok("commit", "-m", "first");
  await copy.ok("push", "-m", "second");
  await copy.ok("bookmark", "set", "main");
  copy.write({ "a.txt": "more" });
  await Bun.file(join(copy.root, "b.txt")).delete();
  const published = await copy.json("status");
  expect(published).toEqual({
    change: {
      name: expect.stringMatching(/^[k-z]{16}$/),
      prefix: expect.any(String),
      description: "second",
      parents: [name],
      bookmarks: ["main"],
      sealed: true,
      conflicted: false,
      draft: false,
      version: 1,
    },
    clean: false,
    conflicts: [],
    files: [
      { path: "a.txt", status: "modified" },
      { path: "b.txt", status: "deleted" },
    ],
  });
});

test("info says where the working copy belongs", async () => {
  const copy = await ann.init({});
  const known = { URL: scene.url, DIR: copy.root };
  expect(steady(await copy.ok("info"), known)).toMatchInlineSnapshot(`
    "repository repository-3 on URL
    directory  DIR
    change     change-1 (draft) (no description)
    "
  `);
  const { name } = (await copy.json("status")).change;
  expect(await copy.json("info")).toEqual({
    server: scene.url,
    repository: copy.repository,
    root: copy.root,
    change: expect.objectContaining({ name, draft: true, version: 0 }),
  });
});

test("a command works from a subdirectory and with -C, and its paths are of there", async () => {
  const copy = await ann.init({ "top.txt": "1\n", "src/deep/a.txt": "2\n", "src/b.txt": "3\n" });
  await copy.publish("first");
  copy.write({ "top.txt": "4\n", "src/deep/a.txt": "5\n" });
  const below = ann.at(join(copy.root, "src"));
  expect((await below.json("status")).files).toEqual([
    { path: "src/deep/a.txt", status: "modified" },
    { path: "top.txt", status: "modified" },
  ]);
  const { files } = await below.json("diff", "deep");
  expect(files).toEqual([expect.objectContaining({ path: "src/deep/a.txt" })]);
  expect(await below.ok("cat", "@", "b.txt")).toBe("3\n");
  expect(await below.ok("cat", "@", "../top.txt")).toBe("1\n");
  const { exitCode, stdout } = await ann.run("-C", copy.root, "-C", "src", "diff", "--stat", "..");
  expect(exitCode).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    " src/deep/a.txt |   2 +-
     top.txt        |   2 +-
     2 files changed, 2 insertions(+), 2 deletions(-)
    "
  `);
  expect(await below.fails("diff", "../../elsewhere")).toMatchObject({ exitCode: 2 });
});

test("outside a working copy the error says how to make one", async () => {
  const { stderr, exitCode } = await ann.at(ann.home).run(["status"]);
  expect(exitCode).toBe(3);
  expect(steady(stderr, { HOME: ann.home })).toMatchInlineSnapshot(`
    "pogo: error: HOME is not in a working copy
    pogo: hint: pogo clone URL/NAME, or pogo init --server URL --name NAME
    "
  `);
});

test("what looks changes nothing, here or there", async () => {
  const copy = await ann.init({ "a.txt": "one\n", "dir/b.txt": "two\n" });
  await copy.publish("first");
  copy.write({ "a.txt": "three\n", "new.txt": "" });
  const before = [readState(copy), await copy.json("log"), await copy.json("status")];
  for (const command of ["status", "diff", "info", "show", "ls"]) await copy.ok(command);
  expect([readState(copy), await copy.json("log"), await copy.json("status")]).toEqual(before);
});

test.skipIf(process.platform !== "linux")(
  "a directory that cannot be written to is read",
  async () => {
    const copy = await ann.init({ "a.txt": "one\n", "b/c.txt": "two\n" });
    await copy.ok("push", "-m", "first");
    copy.write({ "a.txt": "two\n" });
    const expected = await copy.json("status");
    for (const path of ["b", ".pogo", "."]) chmodSync(join(copy.root, path), 0o555);
    const before = readState(copy);
    for (const command of ["status", "info", "diff", "log", "show"]) {
      const { stdout, stderr, exitCode } = await copy.run([command, "--json"], { through: asUser });
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      if (command === "status") expect(JSON.parse(stdout)).toEqual(expected);
    }
    const push = await copy.run(["push"], { through: asUser });
    expect(steady(push.stderr, { DIR: copy.root })).toMatchInlineSnapshot(`
      "pogo: error: cannot write DIR/.pogo/state.sqlite: attempt to write a readonly database
      "
    `);
    expect(push.exitCode).toBe(6);
    expect(readState(copy)).toEqual(before);
  },
);

test.skipIf(process.platform !== "linux")(
  "what a killed command wrote is seen where nothing can be written, or said to be out of sight",
  async () => {
    const copy = await ann.init({ "a.txt": "one\n" });
    await copy.ok("push", "-m", "first");
    const killed = ann.at(join(ann.home, "killed"));
    {
      using workspace = openWorkspace(copy.root);
      const { state } = workspace;
      state.setCurrent({ ...state.current, description: "written last" });
      cpSync(copy.root, killed.root, { recursive: true });
    }
    const control = join(killed.root, ".pogo");
    expect(statSync(join(control, "state.sqlite-wal")).size).toBeGreaterThan(0);
    const status = async () => {
      for (const path of [control, killed.root]) chmodSync(path, 0o555);
      const outcome = await killed.run(["status"], { through: asUser });
      for (const path of [control, killed.root]) chmodSync(path, 0o755);
      return outcome;
    };
    expect(await status()).toMatchObject({ stdout: expect.stringContaining("written last") });
    rmSync(join(control, "state.sqlite-shm"));
    const { stdout, stderr, exitCode } = await status();
    expect([exitCode, stdout, steady(stderr, { DIR: killed.root })]).toEqual([
      6,
      "",
      "pogo: error: cannot read DIR/.pogo/state.sqlite: " +
        "what was last written is in DIR/.pogo/state.sqlite-wal\n" +
        "pogo: hint: make DIR/.pogo writable, or copy DIR to where you can write\n",
    ]);
    expect(await killed.ok("status")).toContain("written last");
  },
);

test("without the server status, info and a clean push work; what asks it says so", async () => {
  const copy = await ann.init({ "a.txt": "one\n" });
  await copy.publish("first");
  const before = readState(copy);
  // Nobody listens there.
  const database = new Database(join(copy.root, ".pogo/state.sqlite"));
  database.run("update meta set value = replace(value, ?, ?)", [scene.url, "http://127.0.0.1:1"]);
  database.close();
  expect((await copy.json("status")).clean).toBe(true);
  await copy.ok("info");
  expect(await copy.json("push")).toMatchObject({ outcome: "unchanged" });
  copy.write({ "a.txt": "two\n" });
  expect((await copy.json("status")).clean).toBe(false);
  const push = await copy.run(["push"]);
  expect(steady(push.stderr)).toMatchInlineSnapshot(`
    "pogo: error: cannot reach the server at 127.0.0.1:1 (ECONNREFUSED)
    pogo: hint: check the address and that the server runs, then run the command again
    "
  `);
  expect(push.exitCode).toBe(7);
  expect(await copy.fails("log")).toMatchObject({ code: "unavailable", exitCode: 7 });
  copy.write({ "a.txt": "one\n" });
  expect(readState(copy)).toEqual(before);
});

test("a damaged working copy says so, and what to do", async () => {
  const copy = await ann.init({ "a.txt": "one\n" });
  writeFileSync(
    join(copy.root, ".pogo/state.sqlite"),
    "not a database, but long enough to be read",
  );
  for (const name of ["state.sqlite-wal", "state.sqlite-shm"]) {
    rmSync(join(copy.root, ".pogo", name), { force: true });
  }
  for (const command of ["status", "push", "info", "log"]) {
    const { code, message, hint, exitCode } = await copy.fails(command);
    expect({ code, exitCode }).toEqual({ code: "corrupt", exitCode: 8 });
    expect(message).toStartWith(join(copy.root, ".pogo/state.sqlite is damaged"));
    expect(hint).toStartWith("your files are untouched");
  }
  expect(readFileSync(join(copy.root, "a.txt"), "utf8")).toBe("one\n");
});

/** Names of everything, and contents of what is not Pogo's own. */
function readState(copy: Copy): Record<string, string> {
  const state: Record<string, string> = {};
  for (const entry of readdirSync(copy.root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // SQLite's own, there while it is open.
    if (/-(wal|shm)$/.test(path)) continue;
    const isRead = entry.isFile() && !path.startsWith(join(copy.root, ".pogo"));
    state[path] = isRead ? readFileSync(path, "utf8") : "";
  }
  return state;
}
