/** Archives, unpacked by the programs that people have for it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { startMs } from "../support/postgres.ts";
import { openScene, type Copy, type Scene } from "../support/scene.ts";
import { temporaryDirectory } from "../support/workspace.ts";

setDefaultTimeout(startMs);

const long = `${"deep/".repeat(30)}${"n".repeat(120)}.txt`;
const parts = new AsyncDisposableStack();
let scene: Scene;
let copy: Copy;
let directory: string;
beforeAll(async () => {
  scene = parts.use(await openScene());
  directory = parts.use(temporaryDirectory()).path;
  const ann = await scene.person("ann");
  copy = await ann.init({
    "README.md": "hello\n".repeat(500),
    empty: "",
    "sub/run.sh": { run: "#!/bin/sh\n" },
    "sub/link": { link: "../README.md" },
    far: { link: long.slice(0, 149) },
    "sub/names/日本語 ünï.txt": "names\n",
    "sub/names/-dash 'quoted'": "more names\n",
    [long]: "far down\n",
    // Of chunks, some of which shrink.
    "large.bin": Buffer.concat([noise(5_000_000), Buffer.alloc(3_000_000, "lines\n")]),
  });
  await copy.ok("push");
  await copy.ok("bookmark", "set", "v1/first");
});
afterAll(() => parts[Symbol.asyncDispose]());

/** Bytes that do not shrink, the same each time. */
function noise(bytes: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, index) => {
    return createHash("sha256").update(String(index)).digest();
  });
  return Buffer.concat(blocks).subarray(0, bytes);
}

async function output(...command: string[]): Promise<string> {
  await using child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe", cwd: directory });
  const [said, complaints] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: ${said}${complaints}`);
  return said + complaints;
}

/** Unpacks an archive in a new directory. */
async function unpack(file: string): Promise<string> {
  const into = join(directory, crypto.randomUUID());
  mkdirSync(into);
  if (file.endsWith(".zip")) await output("unzip", "-q", file, "-d", into);
  else await output("tar", "--zstd", "-xf", file, "-C", into);
  return into;
}

async function expectLikeCopy(unpacked: string): Promise<void> {
  const options = ["-r", "--no-dereference", "--exclude", ".pogo"];
  expect(await output("diff", ...options, copy.root, unpacked)).toBe("");
  const modes = async (root: string) => {
    const listed = await output(
      "find",
      root,
      "-name",
      ".pogo",
      "-prune",
      "-o",
      "!",
      "-type",
      "d",
      "-printf",
      "%m %y %l %P\n",
    );
    return listed.split("\n").sort();
  };
  expect(await modes(unpacked)).toEqual(await modes(copy.root));
}

const hasReaders = ["unzip", "zstd"].every((program) => Bun.which(program) !== null);

describe.skipIf(!hasReaders).each(["zip", "tar.zst"])("%s", (format) => {
  const file = (name: string) => join(directory, `${name}.${format}`);

  test("an archive unpacks to what a checkout makes", async () => {
    const archived = await copy.json("archive", "@", "-o", file("all"));
    expect(archived).toMatchObject({ version: 1, file: file("all"), bytes: expect.any(Number) });
    if (format === "zip") expect(await output("unzip", "-t", file("all"))).toContain("No errors");
    else await output("zstd", "-t", file("all"));
    await expectLikeCopy(await unpack(file("all")));
  });

  test("the same version gives the same bytes, in a file and on stdout", async () => {
    await copy.ok("archive", "v1/first", "-o", file("again"));
    const [first, again] = [readFileSync(file("all")), readFileSync(file("again"))];
    expect(first.equals(again)).toBe(true);
    const { stdout } = copy.start(["archive", "@", "--format", format]);
    expect(Buffer.from(await stdout.bytes()).equals(first)).toBe(true);
  });

  test("only what is named is in it", async () => {
    await copy.ok(
      "archive",
      "@",
      "-o",
      file("some"),
      "sub/names",
      "sub/link",
      "sub/names/-dash 'quoted'",
    );
    const unpacked = await unpack(file("some"));
    expect(readdirSync(unpacked, { recursive: true }).sort()).toEqual([
      "sub",
      "sub/link",
      "sub/names",
      "sub/names/-dash 'quoted'",
      "sub/names/日本語 ünï.txt",
    ]);
  });

  test("what is refused leaves no file behind", async () => {
    const before = readdirSync(directory);
    const refused = async (...args: string[]) => {
      const { code } = await copy.fails("archive", ...args, "-o", file("refused"));
      return code;
    };
    expect(await refused("no-such-bookmark")).toBe("not-found");
    expect(await refused("@", "absent")).toBe("not-found");
    expect(await refused("@", "README.md/below")).toBe("not-found");
    expect(readdirSync(directory)).toEqual(before);
    expect(await copy.fails("archive", "@", "--format", format)).toMatchObject({ code: "usage" });
  });
});

test.skipIf(!hasReaders || !Bun.which("python3"))(
  "a reader that is strict takes them as well",
  async () => {
    const program = `
import sys, tarfile, zipfile
with zipfile.ZipFile("all.zip") as archive:
    assert archive.testzip() is None
    print(sorted(archive.namelist()))
`;
    const listed = await output("python3", "-c", program);
    expect(listed).toContain(long);
    expect(listed).toContain("日本語 ünï.txt");
  },
);

test("a version with conflicts is refused, and what stands beside them is not", async () => {
  await copy.ok("new", "-m", "ours");
  copy.write({ "README.md": "ours\n" });
  await copy.publish();
  const ours = (await copy.json("status")).change.name;
  await copy.ok("new", "v1/first", "-m", "theirs");
  copy.write({ "README.md": "theirs\n" });
  await copy.ok("push");
  const theirs = (await copy.json("status")).change.name;
  await copy.run(["new", ours, theirs, "-m", "both"]);
  await copy.run(["push"]);
  const file = join(directory, "conflicted.zip");
  expect(await copy.fails("archive", "@", "-o", file)).toMatchObject({ code: "conflict" });
  expect(await copy.fails("archive", "@", "-o", file, "README.md")).toMatchObject({
    code: "conflict",
  });
  await copy.ok("archive", "@", "-o", file, "sub");
});
