/** Conflicts as people resolve them: the real program in working copies. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { openScene, type Copy, type Failure, type Person, type Scene } from "../support/scene.ts";
import { readFiles, writeFiles, type Files } from "../support/workspace.ts";

let scene: Scene;
let ann: Person;
beforeAll(async () => {
  scene = await openScene();
  ann = await scene.person("ann");
}, 60_000);
afterAll(() => scene[Symbol.asyncDispose]());

/** A working copy at the merge of changes on top of one, at `side1`, `side2`, and so on. */
async function merged(base: Files, ...sides: Files[]): Promise<Copy> {
  const copy = await ann.published(
    { bookmark: "base", description: "base", files: base },
    ...sides.map((files, index) => ({
      bookmark: `side${index + 1}`,
      description: `change ${index + 1}`,
      files,
      on: "base",
    })),
  );
  await copy.run(["new", ...sides.map((_, index) => `side${index + 1}`)]);
  return copy;
}

function replace(copy: Copy, files: Files): void {
  for (const path of Object.keys(readFiles(copy.root))) rmSync(join(copy.root, path));
  for (const path of Object.keys(files)) {
    if (existsSync(join(copy.root, path))) rmSync(join(copy.root, path), { recursive: true });
  }
  writeFiles(copy.root, files);
}

/** Text with the names of changes made alike. */
const textOf = ({ root }: Copy, path: string) => {
  return readFileSync(join(root, path), "utf8").replace(/\b[k-z]{8}\b/g, "NAME");
};

const conflictsOf = async (copy: Copy) => (await copy.json("status")).conflicts;

describe("with a tool", () => {
  const texts = [{ f: "a\nold\nz\n" }, { f: "a\nours\nz\n" }, { f: "a\ntheirs\nz\n" }] as const;

  async function resolveWith(copy: Copy, line: string | undefined, ...args: string[]) {
    const environment: Record<string, string> = line === undefined ? {} : { POGO_MERGE_TOOL: line };
    const ended = await copy.run(["resolve", "--tool", ...args, "--json"], { environment });
    // The tool may have said something before.
    const last = ended.stderr.trimEnd().split("\n").at(-1);
    const failure = ended.exitCode === 0 ? undefined : (JSON.parse(last!).error as Failure);
    return { ...ended, failure, value: failure ? undefined : JSON.parse(ended.stdout) };
  }

  test("what the tool leaves is taken, and its files are named for what they hold", async () => {
    const copy = await merged(...texts);
    const line =
      `{ for file in "$BASE" "$LOCAL" "$REMOTE"; do cat "$file"; echo --; done; echo --;` +
      ` ls "$(dirname "$MERGED")"; echo --; grep -c '<<<<<<<' "$MERGED"; } > seen` +
      ` && cat "$LOCAL" "$REMOTE" > "$MERGED"`;
    const { value } = await resolveWith(copy, line);
    expect(value).toEqual({ resolved: ["f"], conflicts: [] });
    expect(textOf(copy, "f")).toBe("a\nours\nz\na\ntheirs\nz\n");
    const [base, ours, theirs, , names, count] = textOf(copy, "seen").split("--\n");
    expect([base, ours, theirs, count]).toEqual([...texts.map(({ f }) => f), "1\n"]);
    expect(names!.trim().split("\n").sort()).toEqual(["f.NAME", "f.NAME", "f.base", "f.merged"]);
    expect(readdirSync(join(copy.root, ".pogo/merging"))).toEqual([]);
    await copy.ok("push");
    expect(await conflictsOf(copy)).toEqual([]);
  });

  test("nothing is taken from a tool that fails, or that changed nothing", async () => {
    const copy = await merged(...texts);
    const marked = readFileSync(join(copy.root, "f"), "utf8");
    const failed = await resolveWith(copy, 'echo half > "$MERGED"; exit 3');
    expect(failed.failure).toMatchObject({ code: "conflict" });
    expect(readFileSync(join(copy.root, "f"), "utf8")).toBe(marked);
    const same = await resolveWith(copy, ': "$MERGED"');
    expect(same.value).toEqual({ resolved: [], conflicts: ["f"] });
    expect(readFileSync(join(copy.root, "f"), "utf8")).toBe(marked);
    expect(readdirSync(join(copy.root, ".pogo/merging"))).toEqual([]);
  });

  test("half of a merge is kept, and is a conflict yet", async () => {
    const copy = await merged(...texts);
    const half = await resolveWith(copy, `sed -i s/ours/both/ "$MERGED"`);
    expect(half.value).toEqual({ resolved: [], conflicts: ["f"] });
    expect(textOf(copy, "f")).toContain("\nboth\n||||||| before both\n");
    expect((await copy.json("resolve", "--list"))[0]).toMatchObject({ isUnfinished: true });
    const done = await resolveWith(copy, `sed -i '/^[<|=>]\\{7\\}/d' "$MERGED"`);
    expect(done.value).toEqual({ resolved: ["f"], conflicts: [] });
    expect(textOf(copy, "f")).toBe("a\nboth\nold\ntheirs\nz\n");
  });

  test("without a tool, a known one, a program or a terminal, the hint says what to do", async () => {
    const copy = await merged(...texts);
    const unset = await resolveWith(copy, undefined);
    expect(unset.failure).toMatchObject({ code: "usage", message: "no merge tool is set" });
    expect(unset.failure?.hint).toContain("POGO_MERGE_TOOL");
    const unknown = await resolveWith(copy, "nonsense");
    expect(unknown.failure).toMatchObject({ code: "usage" });
    expect(unknown.failure?.hint).toContain('"$LOCAL"');
    const missing = await resolveWith(copy, 'no-such-program "$MERGED"');
    expect(missing.failure).toMatchObject({ code: "not-found" });
    const dumb = await resolveWith(copy, undefined, "vimdiff");
    expect(dumb.failure).toMatchObject({ code: "usage", message: "vimdiff needs a terminal" });
    expect(await copy.fails("resolve", "--tool", "--side", "1")).toMatchObject({ code: "usage" });
    expect(await conflictsOf(copy)).toEqual(["f"]);
  });

  test("what has no lines, or more than two sides, is left to be resolved otherwise", async () => {
    const copy = await merged(
      { f: "old\n", logo: "\0old" },
      { f: "ours\n", logo: "\0ours" },
      { f: "theirs\n", logo: "\0theirs" },
    );
    const named = await resolveWith(copy, 'echo "$MERGED"', "logo");
    expect(named.failure).toMatchObject({ code: "usage", hint: "pogo resolve logo --side NAME" });
    const all = await resolveWith(copy, 'echo merged > "$MERGED"');
    expect(all.value).toEqual({ resolved: ["f"], conflicts: ["logo"] });
    expect(all.stderr).toContain("has no lines to merge");
    const three = await merged({ f: "0\n" }, { f: "1\n" }, { f: "2\n" }, { f: "3\n" });
    const many = await resolveWith(three, 'echo "$MERGED"');
    expect(many.failure?.message).toContain("3 sides");
  });

  test.if(Bun.which("vim") !== null)("vim can be the tool", async () => {
    const copy = await merged(...texts);
    const line = `vim -es -u NONE -c 'g/^[<|=>]\\{7\\}/d' -c wq "$MERGED"`;
    expect((await resolveWith(copy, line)).value).toEqual({ resolved: ["f"], conflicts: [] });
    expect(textOf(copy, "f")).toBe("a\nours\nold\ntheirs\nz\n");
  });
});

describe("how conflicts stand", () => {
  test("a text with more than two sides has markers that name them all", async () => {
    const copy = await merged({ f: "0\n" }, { f: "1\n" }, { f: "2\n" }, { f: "3\n" });
    expect(textOf(copy, "f")).toBe(
      "<<<<<<< NAME change 1\n1\n||||||| base 1\n0\n======= NAME change 2\n2\n" +
        "||||||| base 2\n0\n======= NAME change 3\n3\n>>>>>>> 3 sides\n",
    );
    expect(await copy.ok("cat", "@", "f")).toContain("======= side 2\n2\n");
    copy.write({ f: "all\n" });
    await copy.ok("push");
    expect(await conflictsOf(copy)).toEqual([]);
  });

  test("the sides of a rebase are named for the change and for what it was put on", async () => {
    const copy = await ann.init({ f: "old\n" });
    await copy.publish("base");
    await copy.mark("base");
    await copy.ok("new", "base", "-m", "trunk");
    copy.write({ f: "trunk\n" });
    await copy.ok("push");
    await copy.ok("bookmark", "set", "main");
    await copy.ok("new", "base", "-m", "mine");
    copy.write({ f: "mine\n" });
    await copy.ok("push");
    await copy.run(["rebase", "-d", "main"]);
    expect(textOf(copy, "f")).toBe(
      "<<<<<<< NAME trunk\ntrunk\n||||||| before both\nold\n=======\nmine\n>>>>>>> NAME mine\n",
    );
    await copy.ok("new");
    expect(textOf(copy, "f")).toContain("<<<<<<< NAME trunk\n");
  });

  test("a name that is taken, or would be too long, is given to no side", async () => {
    const long = "é".repeat(125);
    const copy = await merged(
      { logo: "\0old", [long]: "\0old" },
      { logo: "\0ours", "logo.~side-1~": "mine", [long]: "\0ours" },
      { logo: "\0theirs", [long]: "\0theirs" },
    );
    const taken = (await copy.json("resolve", "--list")).find(
      ({ path }: { path: string }) => path === "logo",
    );
    expect(taken.files).toHaveLength(2);
    const standing = Object.keys(readFiles(copy.root));
    expect(standing).toHaveLength(5);
    expect(standing.every((name) => Buffer.byteLength(name) <= 255)).toBe(true);
    expect((await conflictsOf(copy)).sort()).toEqual(["logo", long].sort());
    await copy.ok("resolve", "--side", "2");
    expect(readFiles(copy.root)).toEqual({
      logo: "\0theirs",
      "logo.~side-1~": "mine",
      [long]: "\0theirs",
    });
  });

  test("of names that differ in case alone the one whose side is taken stays", async () => {
    const copy = await merged(
      { k: "k" },
      { k: "k", readme: "ours\n" },
      { k: "k", README: "two\n" },
    );
    expect(textOf(copy, "README")).toContain("two\n||||||| before both\n=======\nours\n");
    const [{ sides }] = await copy.json("resolve", "--list");
    expect(sides).toHaveLength(2);
    await copy.ok("resolve", "--side", "2");
    expect(readFiles(copy.root)).toEqual({ k: "k", readme: "ours\n" });
    await copy.ok("push");
    expect(await conflictsOf(copy)).toEqual([]);
  });
});

describe("a side that is a directory", () => {
  /** At `x` a file, and a directory that holds conflicts: of a text and of a binary. */
  async function nested(): Promise<Copy> {
    const base = { "x/t": "old\n", "x/b": "\0old", "x/d/k": "k" };
    const copy = await merged(
      base,
      { "x/t": "ours\n", "x/b": "\0ours", "x/d/k": "k" },
      { "x/t": "theirs\n", "x/b": "\0theirs", "x/d/k": "k" },
    );
    await copy.ok("bookmark", "set", "conflicted");
    await copy.ok("new", "base", "-m", "replaces it");
    replace(copy, { x: "file" });
    await copy.ok("push");
    await copy.ok("bookmark", "set", "replacing");
    await copy.ok("new", "replacing", "conflicted");
    expect(await conflictsOf(copy)).toEqual(["x"]);
    return copy;
  }

  test("shows the conflicts that it holds", async () => {
    const copy = await nested();
    const standing = Object.keys(readFiles(copy.root)).map((name) => {
      return name.replace(/\b[k-z]{8}\b/g, "NAME");
    });
    expect(standing.sort()).toEqual([
      "x.~NAME~",
      "x.~NAME~/b.~side-1~",
      "x.~NAME~/b.~side-2~",
      "x.~NAME~/d/k",
      "x.~NAME~/t",
    ]);
    const text = Object.entries(readFiles(copy.root)).find(([name]) => name.endsWith("/t"))![1];
    expect(text).toContain("<<<<<<< side 1\nours\n");
  });

  test("is taken with the conflicts that it holds, which are pushed and resolved as such", async () => {
    const copy = await nested();
    await copy.ok("resolve", "x", "--side", "2");
    expect(Object.keys(readFiles(copy.root)).sort()).toEqual([
      "x/b.~side-1~",
      "x/b.~side-2~",
      "x/d/k",
      "x/t",
    ]);
    expect(readdirSync(copy.root).sort()).toEqual([".pogo", "x"]);
    expect(await conflictsOf(copy)).toEqual(["x/b", "x/t"]);
    await copy.ok("push");
    expect(await copy.json("status")).toMatchObject({
      clean: true,
      conflicts: ["x/b", "x/t"],
      change: { conflicted: true },
    });
    const clone = await ann.clone(copy.repository, "-r", (await copy.json("status")).change.name);
    expect(
      (await clone.json("resolve", "--list")).map(({ path }: { path: string }) => path),
    ).toEqual(["x/b", "x/t"]);
    await copy.ok("resolve", "x/b", "--side", "1");
    await copy.ok("resolve", "x/t", "--base");
    await copy.ok("push");
    expect(readFiles(copy.root)).toEqual({ "x/b": "\0ours", "x/d/k": "k", "x/t": "old\n" });
    expect(await copy.json("status")).toMatchObject({ clean: true, conflicts: [] });
  });

  test("is gone whole when the other side is taken", async () => {
    const copy = await nested();
    await copy.ok("resolve", "--side", "1");
    expect(readFiles(copy.root)).toEqual({ x: "file" });
    expect(readdirSync(copy.root).sort()).toEqual([".pogo", "x"]);
    await copy.ok("push");
    expect(await copy.json("status")).toMatchObject({ clean: true, conflicts: [] });
  });

  test("resolved and not pushed, it can be discarded", async () => {
    const copy = await nested();
    const before = readFiles(copy.root);
    await copy.ok("resolve", "x", "--side", "2");
    await copy.ok("discard");
    expect(await conflictsOf(copy)).toContain("x");
    for (const [path, text] of Object.entries(before)) {
      expect([path, readFiles(copy.root)[path]]).toEqual([path, text]);
    }
  });
});
