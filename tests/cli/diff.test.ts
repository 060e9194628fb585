import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openScene, type Person, type Scene } from "../support/scene.ts";
import { readFiles, writeFiles, type Files } from "../support/workspace.ts";

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
}, 60_000);
afterAll(() => scene[Symbol.asyncDispose]());

const lines = Array.from({ length: 60 }, (_, index) => `line ${index}\n`).join("");

/** Files that git can hold: it has no empty directory, nor any other kind. */
const before: Files = {
  "modified.txt": lines,
  "deleted.txt": "gone\nsoon\n",
  "renamed.txt": lines.replaceAll("line", "row"),
  "mode.sh": "#!/bin/sh\n",
  "unmode.sh": { run: "#!/bin/sh\n" },
  "no newline": "one\ntwo",
  "newline gone": "one\ntwo\n",
  "crlf.txt": "one\r\ntwo\r\n",
  link: { link: "modified.txt" },
  "link to file": { link: "mode.sh" },
  "emptied.txt": "something\n",
  "filled.txt": "",
  "space name.txt": "1\n",
  'quote".txt': "1\n",
  "tab\tname": "1\n",
  "\u00e9t\u00e9.txt": "1\n",
  "b/ a": "1\n",
  "deep/er/file": "1\n",
};

function edit(root: string): void {
  for (const name of ["deleted.txt", "link", "link to file"]) rmSync(join(root, name));
  renameSync(join(root, "renamed.txt"), join(root, "deep/moved.txt"));
  chmodSync(join(root, "mode.sh"), 0o755);
  chmodSync(join(root, "unmode.sh"), 0o644);
  writeFiles(root, {
    "modified.txt": lines.replace("line 3\n", "").replace("line 50\n", "line 50\nmore\n"),
    "deep/moved.txt": `${lines.replaceAll("line", "row")}last\n`,
    "no newline": "one\nthree",
    "newline gone": "one\ntwo",
    "crlf.txt": "one\r\n2\r\n",
    link: { link: "no newline" },
    "link to file": "a file now\n",
    "emptied.txt": "",
    "filled.txt": "something\n",
    "space name.txt": "2\n",
    'quote".txt': "2\n",
    "tab\tname": "2\n",
    "\u00e9t\u00e9.txt": "2\n",
    "b/ a": "2\n",
    "deep/er/new": "-- \n++ \n",
    "deep/new.sh": { run: "#!/bin/sh\n" },
    "new\nline": "3\n",
    "\u{1f680}": "3\n",
    empty: "",
    "new link": { link: "empty" },
  });
}

const binary = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256));

test.skipIf(!Bun.which("git"))("git apply and patch -p1 take a diff of everything", async () => {
  const copy = await ann.init(before);
  copy.write({ "binary.bin": binary, "deleted.bin": binary.subarray(1) });
  await copy.commit("before");
  const old = mkdtempSync(join(ann.home, "old-"));
  for (const [path, file] of Object.entries({ ...before, "deleted.bin": binary.subarray(1) })) {
    writeFiles(old, { [path]: file });
  }
  writeFiles(old, { "binary.bin": binary });
  edit(copy.root);
  rmSync(join(copy.root, "deleted.bin"));
  writeFileSync(join(copy.root, "binary.bin"), Buffer.concat([binary, binary]));
  writeFileSync(join(copy.root, "added.bin"), binary.subarray(2));
  const patch = await copy.ok("diff");

  const file = join(ann.home, "all.patch");
  writeFileSync(file, patch);
  run(["git", "apply", "--whitespace=nowarn", file], old);
  expect(readFiles(old)).toEqual(readFiles(copy.root));

  // And back, from the two published sides.
  await copy.ok("push", "-m", "after");
  writeFileSync(file, await copy.ok("diff", "--from", "@", "--to", "@-"));
  run(["git", "apply", "--whitespace=nowarn", file], old);
  const clone = await ann.clone(copy.repository, "-r", "@-".replace("@", await name(copy)));
  expect(readFiles(old)).toEqual(readFiles(clone.root));
  expect(await copy.ok("diff", "--to", "@")).toBe(patch);
});

async function name(copy: { json(...args: string[]): Promise<{ change: { name: string } }> }) {
  return (await copy.json("status")).change.name;
}

test.skipIf(!Bun.which("patch"))("patch -p1 takes a diff of what it knows", async () => {
  const plain = Object.entries(before).filter(([path, file]) => {
    return typeof file === "string" && !/[\t"]/.test(path);
  });
  const copy = await ann.init(Object.fromEntries(plain));
  await copy.ok("commit", "-m", "before");
  const old = (await ann.clone(copy.repository)).root;
  copy.write({
    "modified.txt": lines.replace("line 3\n", "line three\n"),
    "no newline": "one\nthree",
    "newline gone": "one\ntwo",
    "crlf.txt": "one\r\n2\r\n",
    "space name.txt": "2\n",
    "new/in a directory.txt": "2\n",
    "emptied.txt": "",
    "filled.txt": "something\n",
  });
  rmSync(join(copy.root, "deleted.txt"));
  renameSync(join(copy.root, "renamed.txt"), join(copy.root, "moved.txt"));
  const patch = await copy.ok("diff");
  const child = Bun.spawnSync(["patch", "-p1", "--binary", "-s"], {
    cwd: old,
    stdin: Buffer.from(patch),
  });
  expect(child.stdout.toString() + child.stderr.toString()).toBe("");
  expect(readFiles(old)).toEqual(readFiles(copy.root));
});

test("diff says what differs: as a patch, as a statistic, and for programs", async () => {
  const copy = await ann.init({ "a.txt": "1\n2\n3\n", "moved.txt": lines, "x.bin": binary });
  await copy.commit("first");
  expect(await copy.ok("diff")).toBe("");
  renameSync(join(copy.root, "moved.txt"), join(copy.root, "there.txt"));
  copy.write({ "a.txt": "1\ntwo\n3\n", "x.bin": Buffer.concat([binary, binary]) });
  expect(await copy.ok("diff", "a.txt", "there.txt", "moved.txt")).toMatchInlineSnapshot(`
    "diff --git a/a.txt b/a.txt
    index 01e79c32a8..d8eb09865e 100644
    --- a/a.txt
    +++ b/a.txt
    @@ -1,3 +1,3 @@
     1
    -2
    +two
     3
    diff --git a/moved.txt b/there.txt
    similarity index 100%
    rename from moved.txt
    rename to there.txt
    "
  `);
  expect(await copy.ok("diff", "--stat")).toMatchInlineSnapshot(`
    " a.txt                  |   2 +-
     moved.txt => there.txt |   0
     x.bin                  | Bin
     3 files changed, 1 insertion(+), 1 deletion(-)
    "
  `);
  const { files } = await copy.json("diff");
  expect(files).toEqual([
    {
      path: "a.txt",
      status: "modified",
      added: 1,
      removed: 1,
      binary: false,
      patch: expect.stringContaining("-2\n+two\n"),
    },
    {
      path: "there.txt",
      oldPath: "moved.txt",
      status: "renamed",
      added: 0,
      removed: 0,
      binary: false,
      patch: expect.stringContaining("rename from moved.txt\nrename to there.txt\n"),
    },
    {
      path: "x.bin",
      status: "modified",
      added: 0,
      removed: 0,
      binary: true,
      patch: expect.stringContaining("GIT binary patch"),
    },
  ]);
  // Between published sides, whatever the working copy holds.
  await copy.ok("push", "-m", "second");
  copy.write({ "a.txt": "1\n2\n3\n4\n" });
  expect(await copy.ok("diff", "--to", "@", "a.txt")).toContain("-2\n+two\n");
  expect(await copy.ok("diff", "--from", "@-", "a.txt")).toContain("@@ -1,3 +1,4 @@\n 1\n 2\n");
  expect(await copy.ok("diff", "--from", "@", "--to", "@")).toBe("");
  expect(await copy.fails("diff", "--from", "nowhere")).toMatchObject({ exitCode: 3 });
  const { stdout } = await copy.run(["diff", "a.txt", "--color", "always"]);
  expect(stdout).toContain("\x1b[31m-two\x1b[39m\n");
});

test("a path of which nothing is compared because there is none is not found", async () => {
  const copy = await ann.init({ "a.txt": "1\n", "old/b.txt": "1\n" });
  await copy.commit("first");
  rmSync(join(copy.root, "old"), { recursive: true });
  await copy.commit("second");
  copy.write({ ".gitignore": "ignored\n", ignored: "" });
  for (const path of ["a.txt", "ignored"]) expect(await copy.ok("diff", path)).toBe("");
  expect(await copy.ok("diff", "--from", "@--", "--to", "@-", "old")).toContain("old/b.txt");
  expect(await copy.ok("diff", "--from", "@--", "--to", "@--", "old")).toBe("");
  for (const side of [[], ["--from", "@--", "--to", "@-"]]) {
    for (const paths of [["a.txt", "nope"], ["a.txt/nope"]]) {
      expect(await copy.fails("diff", ...side, ...paths)).toEqual({
        code: "not-found",
        message: `"${paths.at(-1)}" is neither in the working copy nor in what is compared`,
        hint: "see what there is: pogo ls",
        exitCode: 3,
      });
    }
  }
  // It went before either side was made.
  expect(await copy.fails("diff", "old")).toMatchObject({ code: "not-found" });
}, 30_000);

test("cat prints a file as it is: binary, empty, large, a link's target", async () => {
  // Larger than an object: it is stored in chunks.
  const large = Buffer.alloc(9_000_001);
  for (let at = 0, seed = 1; at < large.length; at += 4) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
    large.writeInt32LE(seed, Math.min(at, large.length - 4));
  }
  const copy = await ann.init({
    "x.bin": binary,
    empty: "",
    large,
    link: { link: "x.bin" },
    "a b/c d": "spaces\n",
  });
  const cat = async (revision: string, path: string) => {
    await using child = copy.start(["cat", revision, path]);
    const [bytes, exitCode] = await Promise.all([child.stdout.bytes(), child.exited]);
    expect(exitCode).toBe(0);
    return Buffer.from(bytes);
  };
  for (const round of ["draft", "published"]) {
    expect((await cat("@", "x.bin")).equals(binary)).toBe(true);
    expect((await cat("@", "empty")).length).toBe(0);
    expect((await cat("@", "large")).equals(large)).toBe(true);
    expect((await cat("@", "link")).toString()).toBe("x.bin");
    expect((await cat("@", "a b/c d")).toString()).toBe("spaces\n");
    if (round === "draft") await copy.ok("push", "-m", "files");
  }
  expect(await copy.json("cat", "@", "a b/c d")).toEqual({ size: 7, base64: "c3BhY2VzCg==" });
  expect(await copy.fails("cat", "@", "nowhere")).toMatchObject({ exitCode: 3 });
  const directory = await copy.fails("cat", "@", "a b");
  expect(directory).toMatchObject({ exitCode: 2, message: '"a b" is a directory' });
  expect(readFileSync(join(copy.root, "large")).equals(large)).toBe(true);
});

test("what was fetched to be looked at is kept, and never in the way", async () => {
  const copy = await ann.init({ "a.txt": "one\n", "b.txt": "one more\n" });
  await copy.commit("first");
  const clone = await ann.clone(copy.repository);
  clone.write({ "a.txt": "two\n", "b.txt": "two more\n" });
  const cache = join(ann.home, ".cache/pogo/objects");
  rmSync(cache, { recursive: true, force: true });
  const first = await clone.ok("diff");
  const kept = readFiles(cache);
  expect(Object.keys(kept)).toHaveLength(2);

  // The server is not asked for them again.
  const asked: string[] = [];
  scene.calls = asked;
  expect(await clone.ok("diff")).toBe(first);
  expect(await clone.ok("discard", "a.txt")).toContain("M a.txt");
  expect(asked).toEqual([]);
  clone.write({ "a.txt": "two\n" });

  for (const path of Object.keys(kept)) writeFileSync(join(cache, path), "damaged");
  expect(await clone.ok("diff")).toBe(first);
  expect(asked).toContain("GetObjects");
  expect(readFiles(cache)).toEqual(kept);

  rmSync(cache, { recursive: true });
  const together = await Promise.all([1, 2, 3].map(() => clone.ok("diff")));
  expect(new Set(together)).toEqual(new Set([first]));
  expect(readFiles(cache)).toEqual(kept);

  rmSync(cache, { recursive: true });
  writeFileSync(cache, "not a directory");
  expect(await clone.ok("diff")).toBe(first);
  rmSync(cache);
});

test("ls lists a directory of a draft and of a published change", async () => {
  const copy = await ann.init({
    "b.txt": "22",
    "a/deep/x": "",
    run: { run: "" },
    link: { link: "run" },
    'odd "name"\n': "",
  });
  const listing = 'a/\nb.txt\nlink@\n"odd \\"name\\"\\n"\nrun*\n';
  expect(await copy.ok("ls")).toBe(listing);
  await copy.ok("push", "-m", "first");
  expect(await copy.ok("ls")).toBe(listing);
  expect(await copy.ok("ls", "@", "a")).toBe("deep/\n");
  expect(await copy.ok("ls", "@", "b.txt")).toBe("b.txt\n");
  expect(await copy.json("ls", "@")).toEqual([
    { name: "a", kind: "directory" },
    {
      name: "b.txt",
      kind: "file",
      executable: false,
      size: 2,
      object: expect.stringMatching(/^[0-9a-f]{64}$/),
    },
    { name: "link", kind: "symlink", target: "run" },
    expect.objectContaining({ name: 'odd "name"\n', size: 0 }),
    expect.objectContaining({ name: "run", executable: true }),
  ]);
  await copy.ok("new");
  rmSync(join(copy.root, "a"), { recursive: true });
  copy.write({ "new/file": "" });
  expect(await copy.ok("ls")).toBe('b.txt\nlink@\nnew/\n"odd \\"name\\"\\n"\nrun*\n');
  expect(await copy.ok("ls", "@", "new/file")).toBe("file\n");
  expect(await copy.fails("ls", "@", "a")).toMatchObject({ exitCode: 3 });
  expect(await copy.fails("ls", "@-", "nowhere")).toMatchObject({ exitCode: 3 });
});

function run(command: string[], cwd: string): void {
  // Not of the repository that the tests may stand in.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: cwd, GIT_DIR: "/nonexistent" };
  const child = Bun.spawnSync(command, { cwd, env });
  expect(child.stdout.toString() + child.stderr.toString()).toBe("");
}
