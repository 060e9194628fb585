import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
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

test("init binds a directory to a new repository and uploads nothing", async () => {
  const root = join(ann.home, "game");
  mkdirSync(root);
  writeFileSync(join(root, "a.txt"), "1\n");
  const init = ["init", root, "--server", scene.url, "--name", "game"];
  const first = await ann.run(...init);
  expect(steady(first.stdout, { URL: scene.url })).toMatchInlineSnapshot(`
    "created game on URL; publish this directory with: pogo push -m TEXT
    "
  `);
  const copy = ann.at(root, "game");
  expect((await copy.json("status")).files).toEqual([{ path: "a.txt", status: "added" }]);
  expect(await copy.json("log", "--all")).toEqual([]);

  expect(await copy.fails("init", "--name", "game")).toMatchObject({ exitCode: 4 });
  const twice = await ann.at(ann.home).fails("init", "other", ...init.slice(2));
  expect(twice).toMatchObject({ code: "already-exists", exitCode: 4 });
  expect(existsSync(join(ann.home, "other"))).toBe(false);
  for (const name of ["", "a/b", "..", "a b"]) {
    expect((await ann.run("init", "x", "--name", name)).exitCode).toBe(2);
  }
  expect((await ann.run("init", "x")).stderr).toContain("option --name is missing");
});

test("clone starts on main, on the newest change, or on what is named", async () => {
  const copy = await ann.init({ "a.txt": "1\n", "dir/b.txt": "2\n" });
  const empty = await ann.clone(copy.repository);
  expect((await empty.json("status")).change).toMatchObject({ draft: true, parents: [] });
  const { change: first } = await copy.json("commit", "-m", "first");
  copy.write({ "a.txt": "3\n" });
  const { change: second } = await copy.json("commit", "-m", "second");
  const at = ann.at(ann.home);
  const url = `${scene.url}/${copy.repository}`;
  const cloned = await at.ok("clone", url);
  const root = join(ann.home, copy.repository);
  expect(steady(cloned, { DIR: root, NAME: copy.repository })).toMatchInlineSnapshot(`
    "cloned NAME into DIR: 2 files, on top of change-1 second
    "
  `);
  expect(await at.json("clone", `${url}/`, "named", "-r", first)).toEqual({
    repository: copy.repository,
    server: scene.url,
    root: join(ann.home, "named"),
    change: expect.any(String),
    parents: [first],
    resumed: false,
  });
  expect(readFiles(join(ann.home, "named"))).toEqual({ "a.txt": "1\n", "dir/b.txt": "2\n" });
  await copy.ok("bookmark", "set", "main", first);
  expect((await at.json("clone", url, "main")).parents).toEqual([first]);
  expect(readFiles(root)).toEqual({ "a.txt": "3\n", "dir/b.txt": "2\n" });
  expect((await ann.at(root).json("show", "@-")).name).toBe(second);

  expect(await at.fails("clone", url)).toMatchObject({ code: "already-exists", exitCode: 4 });
  expect(await at.fails("clone", url, "x", "-r", "nowhere")).toMatchObject({ exitCode: 3 });
  expect(await at.fails("clone", `${scene.url}/nowhere`)).toMatchObject({ exitCode: 3 });
  for (const address of ["game", scene.url, "ftp://host/game", `${scene.url}/a b`]) {
    expect(await at.fails("clone", address, "x")).toMatchObject({ exitCode: 2 });
  }
  expect(existsSync(join(ann.home, "x"))).toBe(false);
});

test("anybody reads a public repository, and only those who may write do", async () => {
  const copy = await ann.init({ "a.txt": "1\n" }, "--public");
  await copy.publish("first");
  const [change] = await copy.json("log");
  for (const reader of [scene.stranger(), await scene.person("bob")]) {
    const clone = await reader.clone(copy.repository);
    expect((await clone.json("log"))[0]).toEqual({ ...change, sealed: true });
    expect(await clone.ok("cat", "@-", "a.txt")).toBe("1\n");
    clone.write({ "a.txt": "2\n" });
    expect(await clone.ok("diff")).toContain("-1\n+2\n");
    for (const words of [
      ["push", "-m", "mine"],
      ["describe", change.name, "-m", "mine"],
      ["bookmark", "set", "main", change.name],
      ["rm", change.name],
    ]) {
      const denied = await clone.fails(...words);
      expect(denied).toMatchObject({ code: "denied", exitCode: 6 });
    }
    expect((await clone.json("status")).files).toHaveLength(1);
  }
  expect(await copy.json("log", "--all")).toEqual([change]);
});

test("a private repository is open to nobody else, and does not tell that it is there", async () => {
  const copy = await ann.init({ "a.txt": "1\n" });
  await copy.publish("first");
  const nobody = await scene.stranger().run("clone", `${scene.url}/${copy.repository}`);
  expect(steady(nobody.stderr, { NAME: copy.repository })).toMatchInlineSnapshot(`
    "pogo: error: repository "NAME" is not public: this needs a token
    pogo: hint: pogo login URL, or set POGO_TOKEN
    "
  `);
  expect(nobody.exitCode).toBe(6);
  const carl = await scene.person("carl");
  const stranger = await carl.run("clone", `${scene.url}/${copy.repository}`);
  expect(stranger.stderr).toBe(`pogo: error: no repository is named "${copy.repository}"\n`);
  expect(stranger.exitCode).toBe(3);
  expect(readdirSync(carl.home)).toEqual([]);
});

test("Ctrl-C ends a clone with one line, and the same command finishes it", async () => {
  const copy = await ann.init({ "small.txt": "1\n" });
  const noise = Buffer.from(Bun.randomUUIDv7()).toString("hex").repeat(400);
  const files = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => [`dir-${index % 30}/${index}`, noise + index]),
  );
  copy.write(files);
  await copy.ok("push", "-m", "many");
  const address = `${scene.url}/${copy.repository}`;
  const at = ann.at(ann.home);
  const asked = scene.nextCall("GetTrees");
  await using child = at.start(["clone", address, "half"]);
  await asked;
  child.kill("SIGINT");
  expect(await child.stderr.text()).toBe("pogo: interrupted\n");
  expect(await child.exited).toBe(130);
  await at.ok("clone", address, "half");
  expect(readFiles(join(ann.home, "half"))).toEqual(readFiles(copy.root));
  expect((await ann.at(join(ann.home, "half")).json("status")).clean).toBe(true);
});
