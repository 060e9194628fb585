import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { countPatch, formatFilePatch, quotePath, type PatchFile } from "#core/patch.ts";
import { formatStat } from "#core/patch-stat.ts";
import { seededRandom } from "../support/random.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const file = (path: string, text: string | Uint8Array, mode: PatchFile["mode"] = "100644") => ({
  path,
  mode,
  bytes: typeof text === "string" ? utf8(text) : text,
});
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test("a patch reads as git's", () => {
  const before = "int main() {\n  a();\n  b();\n  c();\n  d();\n  e();\n  f();\n}\n";
  const after = before.replace("  e();\n", "  E();\n  more();\n");
  const pair = { old: file("src/main.c", before), new: file("src/main.c", after) };
  expect(textOf(formatFilePatch(pair))).toBe(
    [
      "diff --git a/src/main.c b/src/main.c",
      "index 74114056db..be89315a00 100644",
      "--- a/src/main.c",
      "+++ b/src/main.c",
      "@@ -3,6 +3,7 @@ int main() {",
      "   b();",
      "   c();",
      "   d();",
      "-  e();",
      "+  E();",
      "+  more();",
      "   f();",
      " }",
      "",
    ].join("\n"),
  );
  expect(countPatch(pair)).toEqual({ added: 2, removed: 1, isBinary: false });
});

test("equal sides make no patch", () => {
  expect(formatFilePatch({ old: file("a", "x\n"), new: file("a", "x\n") })).toHaveLength(0);
});

test("paths are quoted as git quotes them", () => {
  expect(quotePath("plain name.txt")).toBe("plain name.txt");
  expect(quotePath('tab\t"quote"\\é')).toBe('"tab\\t\\"quote\\"\\\\\\303\\251"');
});

test("a binary file is only said to differ unless its contents are asked for", () => {
  const pair = { old: file("x.bin", Uint8Array.of(0, 1)), new: file("x.bin", Uint8Array.of(0, 2)) };
  expect(textOf(formatFilePatch(pair))).toEndWith("Binary files a/x.bin and b/x.bin differ\n");
  expect(textOf(formatFilePatch(pair, { binary: true }))).toContain(
    "GIT binary patch\nliteral 2\n",
  );
  expect(countPatch(pair)).toEqual({ added: 0, removed: 0, isBinary: true });
});

test("a summary has a line per file and a total", () => {
  const stats = [
    { path: "a.txt", added: 3, removed: 1, isBinary: false },
    { path: "new.bin", oldPath: "old.bin", added: 0, removed: 0, isBinary: true },
  ];
  expect(formatStat(stats)).toBe(
    " a.txt              |   4 +++-\n" +
      " old.bin => new.bin | Bin\n" +
      " 2 files changed, 3 insertions(+), 1 deletion(-)\n",
  );
});

const unicode = "d\u00e9j\u00e0 vu/\u65e5\u672c.txt";
const cases: Record<string, { old?: PatchFile; new?: PatchFile }> = {
  "an edit": { old: file("a.txt", "1\n2\n3\n"), new: file("a.txt", "1\ntwo\n3\n") },
  "a new file": { new: file("dir/new.txt", "hello\n") },
  "a new empty file": { new: file("empty", "") },
  "a deleted file": { old: file("gone.txt", "bye\n") },
  "a deleted empty file": { old: file("gone", "") },
  "a file that becomes empty": { old: file("a", "x\n"), new: file("a", "") },
  "a missing final newline": { old: file("a", "x\ny"), new: file("a", "x\nz") },
  "a final newline that comes": { old: file("a", "x\ny"), new: file("a", "x\ny\n") },
  "a final newline that goes": { old: file("a", "x\ny\n"), new: file("a", "x\ny") },
  "CRLF lines": { old: file("a", "x\r\ny\r\n"), new: file("a", "x\r\nz\r\n") },
  "an executable bit": { old: file("run", "x\n"), new: file("run", "x\n", "100755") },
  "a new executable": { new: file("run", "#!/bin/sh\n", "100755") },
  "a rename": { old: file("old name", "x\n"), new: file("new/name", "x\n") },
  "a rename with an edit": {
    old: file("a b.txt", "1\n2\n3\n4\n5\n"),
    new: file(unicode, "1\n2\nthree\n4\n5\n", "100755"),
  },
  "an odd name": { old: file('q"\t\\x', "1\n"), new: file('q"\t\\x', "2\n") },
  "a name with spaces": { old: file("a b c", "1\n"), new: file("a b c", "2\n") },
  "a new link": { new: file("link", "target", "120000") },
  "a link that moves": { old: file("link", "a", "120000"), new: file("link", "b", "120000") },
  "a link that becomes a file": { old: file("x", "a", "120000"), new: file("x", "text\n") },
  "a file that becomes a link": { old: file("x", "text\n"), new: file("x", "a", "120000") },
  "lines that look like a patch": {
    old: file("a", "-- a\n++ b\n@@ -1 +1 @@\n"),
    new: file("a", "-- b\n++ b\n@@ -1 +1 @@\n\\ No newline\n"),
  },
  "Latin-1 bytes": {
    old: file("a", Uint8Array.of(0xe9, 10, 0x41, 10)),
    new: file("a", Uint8Array.of(0xe8, 10, 0x41, 10)),
  },
  "UTF-16 text": {
    old: file("a", new Uint8Array(Buffer.from("\ufeffone\ntwo\n", "utf16le"))),
    new: file("a", new Uint8Array(Buffer.from("\ufeffone\n2\n\u010a\n", "utf16le"))),
  },
};
const binaryCases: Record<string, { old?: PatchFile; new?: PatchFile }> = {
  "a binary edit": {
    old: file(
      "x.bin",
      Uint8Array.from({ length: 1000 }, (_, i) => i % 256),
    ),
    new: file(
      "x.bin",
      Uint8Array.from({ length: 777 }, (_, i) => (i * 7) % 256),
    ),
  },
  "a new binary file": { new: file("x.bin", new Uint8Array(100)) },
  "a deleted binary file": { old: file("x.bin", new Uint8Array(53)) },
  "a renamed and edited binary file": {
    old: file("x.bin", new Uint8Array(300)),
    new: file(
      "y.bin",
      Uint8Array.from({ length: 310 }, (_, i) => (i < 280 ? 0 : i % 256)),
      "100755",
    ),
  },
};

describe("a patch is applied", () => {
  let scratch = "";
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "pogo-patch-"));
  });
  afterAll(() => rm(scratch, { recursive: true }));

  let folders = 0;
  async function applied(
    command: string[],
    pair: { old?: PatchFile; new?: PatchFile },
    context?: number,
  ): Promise<void> {
    const folder = join(scratch, String(folders++));
    await mkdir(folder);
    if (pair.old) await put(folder, pair.old);
    const patch = formatFilePatch(pair, {
      binary: true,
      ...(context === undefined ? {} : { context }),
    });
    const env = { ...Bun.env, GIT_CEILING_DIRECTORIES: scratch, GIT_CONFIG_NOSYSTEM: "1" };
    const child = Bun.spawnSync(command, { cwd: folder, stdin: patch, env });
    if (child.exitCode !== 0) throw new Error(`${child.stderr}${child.stdout}\n${textOf(patch)}`);
    if (pair.old && pair.old.path !== pair.new?.path) {
      expect(await present(join(folder, pair.old.path))).toBe(false);
    }
    if (pair.new) await expectFile(folder, pair.new);
  }

  for (const [name, pair] of Object.entries({ ...cases, ...binaryCases })) {
    test(`by git: ${name}`, () => applied(["git", "apply", "-"], pair));
  }
  for (const [name, pair] of Object.entries(cases)) {
    test(`by patch: ${name}`, () => applied(["patch", "-p1", "-s"], pair));
  }
  test("by git: random texts, with any context", async () => {
    const { random, seed } = seededRandom();
    for (let round = 0; round < 40; round++) {
      const text = () => {
        const letters = Array.from({ length: Math.floor(random() * 30) }, () => random() * 5);
        return letters.map(Math.floor).join("\n") + (random() < 0.5 ? "\n" : "");
      };
      const pair = { old: file("f", text()), new: file("f", text()) };
      if (textOf(pair.old.bytes) === textOf(pair.new.bytes)) continue;
      const context = 1 + Math.floor(random() * 4);
      await applied(["git", "apply", "-"], pair, context).catch((cause: unknown) => {
        throw new Error(`seed ${seed}, round ${round}`, { cause });
      });
    }
  });
});

async function put(folder: string, { path, mode, bytes }: PatchFile): Promise<void> {
  const target = join(folder, path);
  await mkdir(dirname(target), { recursive: true });
  if (mode === "120000") await symlink(textOf(bytes!), target);
  else await writeFile(target, bytes!, { mode: mode === "100755" ? 0o755 : 0o644 });
}

async function expectFile(folder: string, { path, mode, bytes }: PatchFile): Promise<void> {
  const target = join(folder, path);
  const status = await lstat(target);
  if (mode === "120000") {
    expect(await readlink(target)).toBe(textOf(bytes!));
    return;
  }
  expect(status.isFile()).toBe(true);
  expect((status.mode & 0o100) !== 0).toBe(mode === "100755");
  expect(Buffer.compare(await readFile(target), bytes!)).toBe(0);
}

async function present(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
