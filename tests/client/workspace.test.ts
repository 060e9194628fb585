import { expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { isPogoError } from "#core/errors.ts";
import { checkEmpty } from "#client/clone.ts";
import { State } from "#client/state.ts";
import { checkout } from "#client/working-copy/checkout.ts";
import { scan } from "#client/working-copy/scan.ts";
import { createWorkspace, findRoot, openWorkspace } from "#client/workspace.ts";
import {
  changeOf,
  readFiles,
  snapshotOf,
  temporaryDirectory,
  temporaryWorkspace,
  writeFiles,
} from "../support/workspace.ts";

const source = (file: string) => JSON.stringify(join(import.meta.dir, "../../src/client", file));

test("a working copy is found from any depth, and not outside", () => {
  using temporary = temporaryWorkspace();
  const deep = join(temporary.root, ...Array.from({ length: 60 }, (_, index) => `d${index}`));
  mkdirSync(deep, { recursive: true });
  expect(findRoot(deep)).toBe(temporary.root);
  using elsewhere = temporaryDirectory();
  expect(findRoot(elsewhere.path)).toBeUndefined();
  expect(() => openWorkspace(elsewhere.path)).toThrow("is not in a working copy");
});

test("a directory is bound once", () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const { binding, current } = workspace.state;
  expect(() => createWorkspace(root, binding, current)).toThrow("is a working copy already");
  expect(workspace.state.binding).toEqual(binding);
});

test("what is stored is read again as it was", () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const pending = {
    requestId: new Uint8Array(16).fill(7),
    change: "k".repeat(16),
    expectedVersion: 3,
    tree: new Uint8Array(32).fill(9),
    parents: [{ change: "z".repeat(16), version: 1 }],
    description: undefined,
    child: "y".repeat(16),
  };
  const current = { ...changeOf(workspace.state.current.tree), bookmarks: ["main"], sealed: true };
  workspace.state.setPendingPush(pending);
  workspace.state.setCurrent(current);
  using again = openWorkspace(root);
  expect(again.state.pendingPush).toEqual(pending);
  expect(again.state.current).toEqual(current);
  again.state.setPendingPush(undefined);
  expect(workspace.state.pendingPush).toBeUndefined();
});

const damages: [string, (control: string) => void][] = [
  ["is missing", (control) => rmSync(join(control, "state.sqlite"))],
  [
    "is not a database",
    (control) => writeFileSync(join(control, "state.sqlite"), "x".repeat(9999)),
  ],
  ["is empty", (control) => writeFileSync(join(control, "state.sqlite"), "")],
  [
    "lost its middle",
    (control) => {
      const file = join(control, "state.sqlite");
      writeFileSync(file, readFileSync(file).fill(0x5a, 4096));
    },
  ],
];

for (const [what, damage] of damages) {
  test(`a state that ${what} is reported with its file and a way out`, async () => {
    using temporary = temporaryWorkspace();
    const { root, workspace } = temporary;
    const { current, trees, fetch } = snapshotOf({ a: "1", "d/b": "2" });
    await checkout({ workspace, fetch }, current, trees);
    workspace[Symbol.dispose]();
    damage(join(root, ".pogo"));
    let failure: unknown;
    try {
      using damaged = openWorkspace(root);
      scan(damaged);
    } catch (error) {
      failure = error;
    }
    if (!isPogoError(failure, "corrupt")) throw failure;
    expect(failure.message).toStartWith(`${join(root, ".pogo/state.sqlite")} is damaged`);
    expect(failure.hint).toContain("your files are untouched");
    expect(readFiles(root)).toEqual({ a: "1", "d/b": "2" });
  });
}

test("a state of a later version is refused", () => {
  using temporary = temporaryWorkspace();
  temporary.workspace.state.set("format", 2);
  expect(() => State.open(temporary.workspace.control)).toThrow("by a later version of pogo");
});

test("one command that writes keeps the other out until it ends or is killed", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const script = `
    import { openWorkspace } from ${source("workspace.ts")};
    const workspace = openWorkspace(${JSON.stringify(root)});
    globalThis.held = await workspace.lock();
    console.log("locked");
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  await child.stdout.getReader().read();
  const failure = await workspace.lock(50).catch((error) => error);
  expect([failure.code, failure.message]).toEqual([
    "conflict",
    `another pogo command is at work in ${root}`,
  ]);
  // Who only looks is not kept waiting, and may save what it learned.
  writeFiles(root, { a: "1" });
  expect(scan(workspace).differences.length).toBe(1);
  child.kill("SIGKILL");
  await child.exited;
  using lock = await workspace.lock();
  expect(lock).toBeDefined();
});

test("a scan neither waits for a writer nor fails because of it", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const { current, trees, fetch } = snapshotOf({ a: "1" });
  await checkout({ workspace, fetch }, current, trees);
  using other = openWorkspace(root);
  other.state.database.run("begin immediate");
  writeFileSync(join(root, "a"), "2");
  const started = performance.now();
  expect(scan(workspace).differences.map(({ path }) => path)).toEqual(["a"]);
  expect(performance.now() - started).toBeLessThan(2000);
  other.state.database.run("rollback");
});

test("what a scan learned about another base is not stored", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const first = snapshotOf({ a: "1" });
  const second = snapshotOf({ a: "2" });
  await checkout({ workspace, fetch: first.fetch }, first.current, first.trees);
  using other = openWorkspace(root);
  const { generation } = other.state;
  await checkout({ workspace, fetch: second.fetch }, second.current, second.trees);
  expect(other.state.generation).toBeGreaterThan(generation);
  expect(scan(other).differences).toEqual([]);
});

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(
  "a working copy of somebody else can be looked at, not written to",
  async () => {
    using temporary = temporaryWorkspace();
    const { root, workspace } = temporary;
    const { current, trees, fetch } = snapshotOf({ a: "1" });
    await checkout({ workspace, fetch }, current, trees);
    workspace[Symbol.dispose]();
    writeFileSync(join(root, "b"), "new");
    for (const path of [root, join(root, ".pogo")]) chmodSync(path, 0o755);
    for (const name of readdirSync(join(root, ".pogo")))
      chmodSync(join(root, ".pogo", name), 0o644);
    chmodSync(join(root, "a"), 0o644);
    const script = `
    import { openWorkspace } from ${source("workspace.ts")};
    import { scan } from ${source("working-copy/scan.ts")};
    process.setgid(65534); process.setuid(65534);
    using workspace = openWorkspace(${JSON.stringify(root)});
    console.log(scan(workspace).differences.map(({ path }) => path).join());
    try { await workspace.lock(); } catch ({ code, message }) { console.log(code, message); }`;
    const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script]);
    expect(stderr.toString()).toBe("");
    expect(stdout.toString()).toBe(`b\ndenied cannot write in ${join(root, ".pogo")}\n`);
    expect(existsSync(join(root, ".pogo/state.sqlite-wal"))).toBe(false);
  },
);

test("what a killed init or clone left is taken away by the next", () => {
  using temporary = temporaryWorkspace();
  using directory = temporaryDirectory();
  const left = join(directory.path, ".pogo-a1B2c3");
  mkdirSync(left);
  writeFileSync(join(left, "state.sqlite"), "half");
  checkEmpty(directory.path);
  const { binding, current } = temporary.workspace.state;
  using _ = createWorkspace(directory.path, binding, current);
  expect(readdirSync(directory.path)).toEqual([".pogo"]);
});
