import { expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { emptyTreeHash, encodeTree, treeHash, type Entry } from "#core/tree.ts";
import { hashKey } from "#core/hash.ts";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { interruptedOperation } from "#client/working-copy/journal.ts";
import { scan } from "#client/working-copy/scan.ts";
import { hashWorkingFile } from "#client/working-copy/read.ts";
import { buildTrees } from "#client/working-copy/trees.ts";
import { unhashedFiles } from "#client/working-copy/scan.ts";
import type { Workspace } from "#client/workspace.ts";
import { seededRandom } from "../../support/random.ts";
import { randomFiles, randomFrom } from "../../support/random-files.ts";
import {
  changeOf,
  plainFiles,
  readFiles,
  snapshotOf,
  temporaryDirectory,
  temporaryWorkspace,
  writeFiles,
  type Files,
  type Snapshot,
} from "../../support/workspace.ts";

const { seed } = seededRandom();

async function checkOut(workspace: Workspace, snapshot: Snapshot) {
  const { fetch, current, trees } = snapshot;
  return await checkout({ workspace, fetch }, current, trees);
}

async function checkedOut(files: Files) {
  const temporary = temporaryWorkspace();
  await checkOut(temporary.workspace, snapshotOf(files));
  return temporary;
}

function rebuild(workspace: Workspace) {
  // A base that knows nothing: every directory is listed and every file hashed.
  const found = scan(workspace);
  for (const { path, file } of unhashedFiles(found)) {
    Object.assign(file, hashWorkingFile(workspace.root, path));
  }
  return { found, root: buildTrees(workspace, found).root };
}

test("a scan of what was checked out builds the same tree", async () => {
  for (let round = 0; round < 8; round++) {
    const random = randomFrom(seed + round);
    const snapshot = snapshotOf(randomFiles(random, 40));
    using temporary = temporaryWorkspace();
    const { root, workspace } = temporary;
    await checkOut(workspace, snapshot);
    expect(readFiles(root), `seed ${random.seed}`).toEqual(plainFiles(snapshot.files));
    expect(scan(workspace).differences, `seed ${random.seed}`).toEqual([]);
    using fresh = temporaryWorkspace();
    writeFiles(fresh.root, snapshot.files);
    expect(rebuild(fresh.workspace).root, `seed ${random.seed}`).toEqual(snapshot.root);
  }
}, 60_000);

test("any snapshot can follow any other", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  for (let round = 0; round < 20; round++) {
    const random = randomFrom(seed + 1000 + round);
    const snapshot = snapshotOf(randomFiles(random, 1 + random.next(60)));
    const { kept } = await checkOut(workspace, snapshot);
    expect(kept, `seed ${random.seed}`).toEqual([]);
    expect(readFiles(root), `seed ${random.seed}`).toEqual(plainFiles(snapshot.files));
    expect(scan(workspace).differences, `seed ${random.seed}`).toEqual([]);
    expect(workspace.state.current).toEqual(snapshot.current);
  }
  await checkOut(workspace, snapshotOf({}));
  expect(readdirSync(root)).toEqual([".pogo"]);
}, 60_000);

test("files that are the same keep their inode and their times", async () => {
  using temporary = await checkedOut({ "a/same": "same", "a/other": "old", gone: "x" });
  const { root, workspace } = temporary;
  const before = lstatSync(join(root, "a/same"), { bigint: true });
  await checkOut(workspace, snapshotOf({ "a/same": "same", "a/other": "new", fresh: "y" }));
  const { ino, mtimeNs, ctimeNs } = lstatSync(join(root, "a/same"), { bigint: true });
  expect({ ino, mtimeNs, ctimeNs }).toEqual({
    ino: before.ino,
    mtimeNs: before.mtimeNs,
    ctimeNs: before.ctimeNs,
  });
});

test("an execute bit is set and cleared without fetching anything", async () => {
  using temporary = await checkedOut({ a: "a", b: { run: "b" } });
  const { root, workspace } = temporary;
  const snapshot = snapshotOf({ a: { run: "a" }, b: "b" });
  const fetch = () => {
    throw new Error("nothing is fetched");
  };
  await checkOut(workspace, { ...snapshot, fetch });
  expect(readFiles(root)).toEqual({ a: { run: "a" }, b: "b" });
});

test("a file of many chunks is written and checked", async () => {
  const contents = new Uint8Array(9_000_001).map((_, index) => (index * index) >> 7);
  using temporary = await checkedOut({ small: "x", "big/file": contents });
  expect(readFiles(temporary.root)).toEqual(plainFiles({ small: "x", "big/file": contents }));
  expect(scan(temporary.workspace).differences).toEqual([]);
});

test("local edits elsewhere stay and are differences from the new base", async () => {
  using temporary = await checkedOut({ a: "1", b: "1", "c/d": "1" });
  const { root, workspace } = temporary;
  writeFileSync(join(root, "a"), "mine");
  rmSync(join(root, "c/d"));
  writeFileSync(join(root, "new"), "mine");
  await checkOut(workspace, snapshotOf({ a: "1", b: "2", "c/d": "1", e: "2" }));
  expect(readFiles(root)).toEqual({ a: "mine", b: "2", e: "2", new: "mine" });
  const found = scan(workspace).differences.map(({ path, status }) => `${status} ${path}`);
  expect(found).toEqual(["modified a", "deleted c/d", "added new"]);
});

const inTheWay: [string, (root: string) => void, string][] = [
  ["a modified file", (root) => writeFileSync(join(root, "a"), "mine"), "a"],
  ["an untracked file", (root) => writeFileSync(join(root, "new"), "mine"), "new"],
  ["an ignored file", (root) => writeFileSync(join(root, "x.ignored"), "mine"), "x.ignored"],
  ["a file where a directory goes", (root) => writeFileSync(join(root, "deep"), "mine"), "deep"],
  ["a directory where a file goes", (root) => writeFiles(root, { "new/file": "mine" }), "new/file"],
  ["a link where a directory goes", (root) => symlinkSync("d", join(root, "deep")), "deep"],
  [
    "an untracked file in a directory that becomes a file",
    (root) => writeFiles(root, { "d/mine": "mine" }),
    "d/mine",
  ],
  [
    "an ignored file in a directory that becomes a file",
    (root) => writeFiles(root, { "d/y.ignored": "mine" }),
    "d/y.ignored",
  ],
  ["a modified file that goes", (root) => writeFileSync(join(root, "d/e"), "mine"), "d/e"],
];

for (const [what, make, path] of inTheWay) {
  test(`${what} is in the way: a conflict, and nothing is touched`, async () => {
    const ignore = { ".gitignore": "*.ignored\n" };
    using temporary = await checkedOut({ ...ignore, a: "1", "d/e": "1" });
    const { root, workspace } = temporary;
    make(root);
    const before = readFiles(root);
    const target = { ...ignore, a: "2", d: "2", new: "2", "x.ignored": "2", "deep/x": "2" };
    const failure = await checkOut(workspace, snapshotOf(target)).catch((error) => error);
    expect([failure.code, failure.message]).toEqual([
      "conflict",
      `would overwrite local files: ${JSON.stringify(path)}`,
    ]);
    expect(readFiles(root)).toEqual(before);
    expect(interruptedOperation(workspace)).toBeUndefined();
  });
}

test("a file in the way that is the target's already is adopted", async () => {
  using temporary = await checkedOut({ a: "1" });
  const { root, workspace } = temporary;
  writeFiles(root, { a: "2", "d/new": "2" });
  await checkOut(workspace, snapshotOf({ a: "2", "d/new": "2" }));
  expect(scan(workspace).differences).toEqual([]);
});

test("nothing is written through a link that took a directory's place", async () => {
  using outside = temporaryDirectory();
  using temporary = await checkedOut({ "d/a": "1", "d/b": "1" });
  const { root, workspace } = temporary;
  const snapshot = snapshotOf({ "d/a": "2", "d/b": "1", "d/new": "2" });
  // The link appears when everything has been checked and is being fetched.
  const fetch: Snapshot["fetch"] = (wanted) => {
    rmSync(join(root, "d"), { recursive: true });
    symlinkSync(outside.path, join(root, "d"));
    return snapshot.fetch(wanted);
  };
  const { kept } = await checkOut(workspace, { ...snapshot, fetch });
  expect(readdirSync(outside.path)).toEqual([]);
  expect(kept.sort()).toEqual(["d/a", "d/new"]);
});

test("an edit made while contents are fetched is kept", async () => {
  using temporary = await checkedOut({ a: "1", b: "1", c: "1" });
  const { root, workspace } = temporary;
  const snapshot = snapshotOf({ a: "2", b: "1", d: "2" });
  const fetch: Snapshot["fetch"] = (wanted) => {
    for (const path of ["a", "c", "d"]) writeFileSync(join(root, path), "mine");
    return snapshot.fetch(wanted);
  };
  const { kept } = await checkOut(workspace, { ...snapshot, fetch });
  expect(kept.sort()).toEqual(["a", "c", "d"]);
  expect(readFiles(root)).toEqual({ a: "mine", b: "1", c: "mine", d: "mine" });
});

test("a failing source leaves the working copy as it was", async () => {
  using temporary = await checkedOut({ a: "1", b: "1" });
  const { root, workspace } = temporary;
  const snapshot = snapshotOf({ a: "2", c: "2" });
  const wrong: [string, Snapshot["fetch"]][] = [
    [
      "sends nothing",
      async function* () {
        yield* [];
      },
    ],
    [
      "sends other bytes",
      async function* (wanted) {
        const [first] = await Array.fromAsync(snapshotOf({ x: "wrong" }).fetch([]));
        const other = await Array.fromAsync(snapshot.fetch(wanted));
        yield { hash: wanted[0]!.hash, bytes: first?.bytes ?? other[0]!.bytes.slice(0, -1) };
      },
    ],
    [
      "breaks off",
      async function* () {
        throw new Error("connection lost");
      },
    ],
  ];
  for (const [what, fetch] of wrong) {
    const failure = await checkOut(workspace, { ...snapshot, fetch }).catch((error) => error);
    expect(failure, what).toBeInstanceOf(Error);
    expect(readFiles(root), what).toEqual({ a: "1", b: "1" });
    expect(interruptedOperation(workspace), what).toBeUndefined();
    expect(readdirSync(workspace.control), what).not.toContain("incoming");
  }
});

test("hostile trees are refused before anything is written", async () => {
  const file = { executable: false, size: 1, hash: treeHash(new Uint8Array(1)) };
  const hostile: [string, Entry[]][] = [
    ["git's own", [{ kind: "file", name: ".git", ...file }]],
    ["git's own in another case", [{ kind: "file", name: ".GIT", ...file }]],
    ["a link out", [{ kind: "symlink", name: "x", target: "../../etc" }]],
    ["a link to Pogo's own", [{ kind: "symlink", name: "x", target: ".pogo" }]],
  ];
  for (const [what, entries] of hostile) {
    using temporary = temporaryWorkspace();
    const { root, workspace } = temporary;
    const encoded = encodeTree(entries);
    const hash = treeHash(encoded);
    const trees = (wanted: Uint8Array) => (hashKey(wanted) === hashKey(hash) ? encoded : undefined);
    const attempt = checkOut(workspace, { ...snapshotOf({}), current: changeOf(hash), trees });
    const failure = await attempt.catch((error) => error);
    expect(failure.code, what).toBe("corrupt");
    expect(readdirSync(root), what).toEqual([".pogo"]);
    expect(workspace.state.current.tree, what).toEqual(emptyTreeHash);
  }
});

test("empty directories in the way make room, others that were emptied stay", async () => {
  using temporary = await checkedOut({ "d/e/f": "1", keep: "1" });
  const { root, workspace } = temporary;
  mkdirSync(join(root, "new/empty"), { recursive: true });
  mkdirSync(join(root, "other"));
  await checkOut(workspace, snapshotOf({ d: "2", keep: "1", new: "2" }));
  expect(readFiles(root)).toEqual({ d: "2", keep: "1", new: "2" });
  expect(lstatSync(join(root, "other")).isDirectory()).toBe(true);
  chmodSync(join(root, "keep"), 0o600);
  expect(scan(workspace).differences).toEqual([]);
  expect(readFileSync(join(root, "keep"), "utf8")).toBe("1");
});

test("a large checkout is shared by threads, whose failures are told", async () => {
  const files: Files = {};
  for (let index = 0; index < 1500; index++) files[`d${index % 40}/f${index}`] = `file ${index}`;
  const snapshot = snapshotOf(files);
  const fetch: Snapshot["fetch"] = async function* (wanted) {
    for await (const { hash, bytes } of snapshot.fetch(wanted)) {
      const isRotten = hashKey(hash) === hashKey(wanted[1200]!.hash);
      yield { hash, bytes: isRotten ? bytes.toReversed() : bytes };
    }
  };
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const failure = await checkOut(workspace, { ...snapshot, fetch }).catch((error) => error);
  expect(failure.code).toBe("corrupt");
  expect(workspace.state.current.tree).toEqual(emptyTreeHash);
  const recovery = await recover({ workspace, fetch: snapshot.fetch });
  expect(recovery).toEqual({
    kind: "checkout",
    outcome: "finished",
    target: snapshot.current,
    kept: [],
  });
  expect(readFiles(root)).toEqual(plainFiles(files));
  expect(scan(workspace).differences).toEqual([]);
}, 60_000);
