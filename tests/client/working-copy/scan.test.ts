import { expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { moveBase } from "#client/state-directories.ts";
import { checkout } from "#client/working-copy/checkout.ts";
import { hashWorkingFile } from "#client/working-copy/read.ts";
import { scan, unhashedFiles } from "#client/working-copy/scan.ts";
import { isSettled } from "#client/working-copy/stat.ts";
import { buildTrees, knownStats } from "#client/working-copy/trees.ts";
import type { Workspace } from "#client/workspace.ts";
import { hashKey } from "#core/hash.ts";
import { randomFiles, randomFrom, type Random } from "../../support/random-files.ts";
import { seededRandom } from "../../support/random.ts";
import {
  changeOf,
  readFiles,
  snapshotOf,
  temporaryWorkspace,
  writeFiles,
  type Files,
} from "../../support/workspace.ts";

const { seed } = seededRandom();

function changes(workspace: Workspace): string[] {
  return scan(workspace).differences.map(({ path, status }) => `${status} ${path}`);
}

async function checkedOut(files: Files, settings: { caseSensitive?: boolean } = {}) {
  const temporary = temporaryWorkspace(settings);
  const { current, trees, fetch } = snapshotOf(files);
  await checkout({ workspace: temporary.workspace, fetch }, current, trees);
  return temporary;
}

/** Makes the working copy the base, as a push does. */
function push(workspace: Workspace) {
  const found = scan(workspace);
  for (const { path, file } of unhashedFiles(found)) {
    Object.assign(file, hashWorkingFile(workspace.root, path));
  }
  const built = buildTrees(workspace, found);
  const trees = new Map(built.encoded.map(({ hash, bytes }) => [hashKey(hash), bytes]));
  const source = (hash: Uint8Array) => trees.get(hashKey(hash));
  moveBase(workspace.state, changeOf(built.root), source, knownStats(workspace, found));
  return built;
}

/** Makes files old enough for their stats to be trusted. */
function age(directory: string): void {
  const past = new Date("2020-01-02T03:04:05.678Z");
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink() || entry.name === ".pogo") continue;
    if (entry.isDirectory()) age(path);
    else utimesSync(path, past, past);
  }
  utimesSync(directory, past, past);
}

/** Waits for the clock of the file system to move on: ctime cannot be set. */
async function tick(): Promise<void> {
  const until = performance.now() + 40;
  while (performance.now() < until) await Bun.sleep(1);
}

test("every kind of change is found", async () => {
  using temporary = await checkedOut({
    same: "1",
    edited: "1",
    resized: "1",
    touched: "1",
    gone: "1",
    mode: "1",
    "became-link": "1",
    "became-directory": "1",
    "was-directory/a": "1",
    "was-directory/b/c": "1",
    link: { link: "same" },
    retargeted: { link: "same" },
  });
  const { root, workspace } = temporary;
  writeFileSync(join(root, "edited"), "2");
  writeFileSync(join(root, "resized"), "22");
  writeFileSync(join(root, "touched"), "1");
  rmSync(join(root, "gone"));
  chmodSync(join(root, "mode"), 0o744);
  for (const path of ["became-link", "became-directory", "retargeted"]) rmSync(join(root, path));
  rmSync(join(root, "was-directory"), { recursive: true });
  symlinkSync("same", join(root, "became-link"));
  symlinkSync("edited", join(root, "retargeted"));
  writeFiles(root, { "became-directory/x": "", "was-directory": "", "new/deep/file": "" });
  mkdirSync(join(root, "empty/directory"), { recursive: true });
  const expected = [
    "deleted became-directory",
    "added became-directory/x",
    "modified became-link",
    "modified edited",
    "deleted gone",
    "modified mode",
    "added new/deep/file",
    "modified resized",
    "modified retargeted",
    "added was-directory",
    "deleted was-directory/a",
    "deleted was-directory/b/c",
  ];
  expect(changes(workspace)).toEqual(expected);
  expect(changes(workspace)).toEqual(expected);
  push(workspace);
  expect(changes(workspace)).toEqual([]);
});

test("repeated scans find what a scan of a fresh copy finds", async () => {
  for (let round = 0; round < 6; round++) {
    const random = randomFrom(seed + round);
    const { current, fetch, trees, files } = snapshotOf(randomFiles(random, 60));
    using temporary = temporaryWorkspace();
    const { root, workspace } = temporary;
    await checkout({ workspace, fetch }, current, trees);
    for (let edit = 0; edit < 4; edit++) {
      if (random.next(2) === 0) age(root);
      changes(workspace);
      if (random.next(2) === 0) changes(workspace);
      editSomething(random, root, files);
      const found = push(workspace).root;
      using fresh = temporaryWorkspace();
      writeFiles(fresh.root, readFiles(root));
      expect(found, `seed ${random.seed}, edit ${edit}`).toEqual(push(fresh.workspace).root);
    }
  }
}, 60_000);

function editSomething(random: Random, root: string, files: Files): void {
  const standing = Object.keys(readFiles(root));
  const path = random.pick(standing.length > 0 ? standing : Object.keys(files));
  const absolute = join(root, path);
  const edit = random.next(5);
  if (edit === 0) rmSync(absolute, { force: true });
  else if (edit === 1) {
    rmSync(absolute, { force: true });
    writeFiles(root, { [path]: `edit ${random.next(1000)}` });
  } else if (edit === 2) writeFiles(root, { [`new-${random.next(9)}/file`]: "new" });
  else if (edit === 3 && standing.length > 0) {
    const top = path.split("/")[0]!;
    renameSync(join(root, top), join(root, `moved-${random.next(1_000_000)}`));
  } else writeFiles(root, { [`file-${random.next(9)}`]: `${random.next(1000)}` });
}

test("an edit within one tick of the clock that keeps the size is found", async () => {
  for (let round = 0; round < 20; round++) {
    using temporary = await checkedOut({ file: "aaaa" });
    const { root, workspace } = temporary;
    writeFileSync(join(root, "file"), "bbbb");
    expect(changes(workspace)).toEqual(["modified file"]);
    writeFileSync(join(root, "file"), "aaaa");
    expect(changes(workspace)).toEqual([]);
    writeFileSync(join(root, "file"), "cccc");
    expect(changes(workspace)).toEqual(["modified file"]);
    writeFileSync(join(root, "new"), "");
    expect(changes(workspace)).toEqual(["modified file", "added new"]);
  }
});

test("a stat is trusted only when the clock has moved on", () => {
  const stat = new Uint32Array([0o100644, 1, 0, 1, 0, 1000, 500_000_000, 1000, 500_000_000]);
  const at = (seconds: number, nanoseconds: number) => isSettled(stat, { seconds, nanoseconds });
  expect([at(1000, 500_000_000), at(1000, 510_000_000), at(999, 0)]).toEqual([false, false, false]);
  expect([at(1000, 530_000_000), at(1001, 0)]).toEqual([true, true]);
  // Whole seconds may be all that the file system counts.
  const coarse = new Uint32Array([0o100644, 1, 0, 1, 0, 1000, 0, 1000, 0]);
  const settled = [1001, 1002, 1003].map((seconds) =>
    isSettled(coarse, { seconds, nanoseconds: 0 }),
  );
  expect(settled).toEqual([false, false, true]);
});

test("a clean working copy is verified without listing or reading anything", async () => {
  using temporary = await checkedOut({ a: "1", "d/b": "1", ".gitignore": "*.o\n" });
  const { root, workspace } = temporary;
  writeFiles(root, { "d/x.o": "ignored" });
  await tick();
  changes(workspace);
  expect(scan(workspace).visited.size).toBe(0);
  writeFileSync(join(root, "d/b"), "22");
  expect([...scan(workspace).visited.keys()]).toEqual(["d"]);
});

test("new ignore rules are heeded in directories that did not change", async () => {
  using temporary = await checkedOut({ "d/e/b": "1", ".gitignore": "*.o\n" });
  const { root, workspace } = temporary;
  writeFiles(root, { "d/e/x.o": "" });
  await tick();
  expect(changes(workspace)).toEqual([]);
  expect(scan(workspace).visited.size).toBe(0);
  writeFileSync(join(root, ".gitignore"), "*.a\n");
  expect(changes(workspace)).toEqual(["modified .gitignore", "added d/e/x.o"]);
  writeFileSync(join(root, ".gitignore"), "*.o\n");
  expect(changes(workspace)).toEqual([]);
});

test("an untracked ignore file is read each time", async () => {
  using temporary = await checkedOut({ "d/e/b": "1" });
  const { root, workspace } = temporary;
  writeFiles(root, { "d/e/x.o": "", ".pogoignore": ".pogoignore\n*.o\n" });
  await tick();
  expect(changes(workspace)).toEqual([]);
  expect(changes(workspace)).toEqual([]);
  writeFileSync(join(root, ".pogoignore"), ".pogoignore\n*.a\n");
  expect(changes(workspace)).toEqual(["added d/e/x.o"]);
});

test("what comes back into a directory that was emptied is found", async () => {
  using temporary = await checkedOut({ "d/e/f": "1", "d/g": "1", "d/i/j/k": "1" });
  const { root, workspace } = temporary;
  rmSync(join(root, "d/e/f"));
  rmSync(join(root, "d/i/j/k"));
  // The directories stay, and the one above is listed as something came into it.
  writeFileSync(join(root, "d/h"), "1");
  await tick();
  push(workspace);
  expect(changes(workspace)).toEqual([]);
  writeFiles(root, { "d/e/new": "1", "d/i/j/new": "1" });
  expect(changes(workspace)).toEqual(["added d/e/new", "added d/i/j/new"]);
});

test("tracked files are never ignored", async () => {
  using temporary = await checkedOut({ ".gitignore": "build/\n*.o\n", "build/a": "1", "x.o": "1" });
  const { root, workspace } = temporary;
  writeFiles(root, { "build/a": "2", "build/new": "", "x.o": "2", "y.o": "" });
  expect(changes(workspace)).toEqual(["modified build/a", "modified x.o"]);
});

test("a file that differs is hashed once, not by every scan", async () => {
  using temporary = await checkedOut({ file: "aaaa" });
  const { root, workspace } = temporary;
  writeFileSync(join(root, "file"), "bbbb");
  await tick();
  changes(workspace);
  // Unreadable, but for its stat it is what it was.
  const [difference] = scan(workspace).differences;
  expect(difference?.after).toMatchObject({ kind: "file", stat: expect.any(Uint32Array) });
  expect(workspace.state.database.query("select path from modified").all()).toEqual([
    { path: "file" },
  ]);
  writeFileSync(join(root, "file"), "aaaa");
  changes(workspace);
  expect(workspace.state.database.query("select path from modified").all()).toEqual([]);
});

const refusals: [string, (root: string) => void, string][] = [
  [
    "a name that is not UTF-8",
    (root) => {
      const name = Buffer.from([0x62, 0xff]);
      writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), "");
    },
    '"b\ufffd" has a name that is not valid UTF-8',
  ],
  [
    "names that differ in case only",
    (root) => writeFiles(root, { README: "", readme: "" }),
    "in case or accents' spelling only",
  ],
  [
    "a name that Windows would take for a path",
    (root) => writeFiles(root, { "..\\x": "" }),
    "is an unsafe path on Windows",
  ],
  [
    "a link out of the working copy",
    (root) => symlinkSync("../../x", join(root, "l")),
    '"l" leads out of the working copy, to "../../x"',
  ],
  [
    "an absolute link",
    (root) => symlinkSync("/etc", join(root, "l")),
    '"l" leads out of the working copy, to "/etc"',
  ],
  [
    "a pipe",
    (root) => void Bun.spawnSync(["mkfifo", join(root, "p")]),
    '"p" is a socket, a pipe or a device',
  ],
  [
    "a path that is too deep",
    (root) => writeFiles(root, { [`${"d/".repeat(260)}x`]: "" }),
    "is deeper than 256 directories",
  ],
];

for (const [what, make, message] of refusals) {
  test(`${what} is refused with its path`, () => {
    using temporary = temporaryWorkspace();
    make(temporary.root);
    expect(() => scan(temporary.workspace)).toThrow(message);
    writeFileSync(join(temporary.root, ".pogoignore"), "*\n");
    expect(changes(temporary.workspace)).toEqual([]);
  });
}

test("names that differ in case only are fine where the repository wants them", () => {
  using temporary = temporaryWorkspace({ caseSensitive: true });
  writeFiles(temporary.root, { README: "", readme: "" });
  expect(changes(temporary.workspace)).toEqual(["added README", "added readme"]);
});

test("ten of many refused paths are named", () => {
  using temporary = temporaryWorkspace();
  for (let index = 0; index < 12; index++) symlinkSync("/etc", join(temporary.root, `l${index}`));
  expect(() => scan(temporary.workspace)).toThrow(/"l\d+" leads.*; and 2 more$/);
});

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)("what cannot be read ends the scan with its path", async () => {
  using temporary = await checkedOut({ "d/file": "1234", "secret/x": "1" });
  const { root } = temporary;
  writeFileSync(join(root, "d/file"), "5678");
  const script = `
    import { openWorkspace } from ${JSON.stringify(join(import.meta.dir, "../../../src/client/workspace.ts"))};
    import { scan } from ${JSON.stringify(join(import.meta.dir, "../../../src/client/working-copy/scan.ts"))};
    process.setgid(65534); process.setuid(65534);
    using workspace = openWorkspace(${JSON.stringify(root)});
    try { console.log(scan(workspace).differences.map(({ path }) => path)); }
    catch ({ code, message, hint }) { console.log([code, message, hint].join("\\n")); }`;
  const run = () =>
    Bun.spawnSync([process.execPath, "-e", script], { stderr: "inherit" }).stdout.toString().trim();
  const hint = "make it readable, or list it in .pogoignore";
  for (const path of [root, join(root, ".pogo"), join(root, "d"), join(root, "secret")]) {
    chmodSync(path, 0o755);
  }
  for (const path of [join(root, "d/file"), join(root, "secret/x")]) chmodSync(path, 0o644);
  for (const name of readdirSync(join(root, ".pogo"))) chmodSync(join(root, ".pogo", name), 0o644);
  // Nothing of .pogo can be written by the other user, and still the scan works.
  expect(run()).toBe('[ "d/file" ]');
  chmodSync(join(root, "d/file"), 0o600);
  expect(run()).toBe(`denied\ncannot read "d/file": permission denied\n${hint}`);
  chmodSync(join(root, "d/file"), 0o644);
  chmodSync(join(root, "secret"), 0o700);
  expect(run()).toBe(`denied\ncannot read "secret": permission denied\n${hint}`);
});

test("many directories are verified by two threads, to the same result", async () => {
  const files: Files = {};
  for (let index = 0; index < 900; index++) files[`d${index % 30}/e${index}/file`] = `${index}`;
  using temporary = await checkedOut(files);
  const { root, workspace } = temporary;
  await tick();
  changes(workspace);
  expect(scan(workspace).visited.size).toBe(0);
  for (const path of ["d3/e33/file", "d29/e899/file"]) writeFileSync(join(root, path), "edited");
  expect(changes(workspace)).toEqual(["modified d29/e899/file", "modified d3/e33/file"]);
  expect(scan(workspace).visited.size).toBe(2);
}, 60_000);
