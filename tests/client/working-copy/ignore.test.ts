import { afterAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { scan } from "#client/working-copy/scan.ts";
import { createWorkspace } from "#client/workspace.ts";
import { emptyTreeHash } from "#core/tree.ts";
import { randomFrom, type Random } from "../../support/random-files.ts";
import { seededRandom } from "../../support/random.ts";
import {
  changeOf,
  temporaryDirectory,
  temporaryWorkspace,
  writeFiles,
} from "../../support/workspace.ts";

const { seed } = seededRandom();
const names = ["a", "b", "ab", "build", "x.o", "x.c", "foo bar", ".dot", "a[1]", "#h", "!n", "Z"];
const pieces = ["a", "b", "ab", "build", "*", "**", "*.o", "x.?", "[ab]", "[!a]", "a*", ".dot"];
const others = [
  "foo\\ bar",
  "\\#h",
  "\\!n",
  "a\\[1\\]",
  "a[[]1]",
  "*b",
  "?",
  "z",
  "[a-z]",
  "foo bar",
];

function randomPattern(random: Random): string {
  const parts = Array.from({ length: 1 + random.next(3) }, () =>
    random.pick(random.next(4) === 0 ? others : pieces),
  );
  const negation = random.next(4) === 0 ? "!" : "";
  const anchor = random.next(5) === 0 ? "/" : "";
  const end = random.pick(["", "", "", "/", " ", "/**"]);
  return negation + anchor + parts.join("/") + end;
}

function randomPaths(random: Random): string[] {
  const paths = new Set<string>();
  const directories = new Set<string>();
  for (let index = 0; index < 30; index++) {
    const parts = Array.from({ length: 1 + random.next(4) }, () => random.pick(names));
    const parents = parts.slice(1).map((_, depth) => parts.slice(0, depth + 1).join("/"));
    const path = parts.join("/");
    if (directories.has(path) || parents.some((parent) => paths.has(parent))) continue;
    for (const parent of parents) directories.add(parent);
    paths.add(path);
  }
  return [...paths];
}

const scratch = temporaryDirectory();
afterAll(() => scratch[Symbol.dispose]());

/** What git would add, in a repository of its own around the same files. */
function addedByGit(root: string): string[] {
  const GIT_DIR = join(scratch.path, "git");
  const environment = { HOME: scratch.path, PATH: Bun.env["PATH"], GIT_DIR, GIT_WORK_TREE: root };
  const settings = { cwd: root, env: { ...environment, GIT_CONFIG_NOSYSTEM: "1" } };
  Bun.spawnSync(["git", "init", "-q"], settings);
  const command = ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"];
  const { stdout } = Bun.spawnSync(command, settings);
  const paths = stdout
    .toString()
    .split("\0")
    .filter((path) => path !== "");
  return paths.filter((path) => !path.includes("/.pogo/")).sort();
}

const hasGit = Bun.which("git") !== null;

test.skipIf(!hasGit)(
  "what is ignored is what git ignores",
  () => {
    // Git looks at all of them at once: to start it takes longer than to look.
    const all = join(scratch.path, "all");
    const added: string[] = [];
    const rules: Record<string, Record<string, string>> = {};
    for (let round = 0; round < 80; round++) {
      const random = randomFrom(seed + round);
      const name = `seed-${random.seed}`;
      using made = randomWorkspace(join(all, name), random);
      rules[name] = made.rules;
      added.push(...scan(made.workspace).differences.map(({ path }) => `${name}/${path}`));
    }
    const byGit = addedByGit(all);
    const wrong = new Set(added).symmetricDifference(new Set(byGit));
    const told = [...wrong].map((path) => [path, rules[path.split("/")[0]!]]);
    expect(told).toEqual([]);
    // The rules do not ignore everything.
    expect(added.length).toBeGreaterThan(200);
  },
  60_000,
);

function randomWorkspace(root: string, random: Random) {
  const binding = { server: "http://127.0.0.1:1", repository: "test", caseSensitive: true };
  const workspace = createWorkspace(root, binding, changeOf(emptyTreeHash));
  const paths = randomPaths(random);
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "");
  }
  const rules: Record<string, string> = {};
  const directories = [...new Set(paths.map((path) => dirname(path)))];
  for (const directory of [".", ...directories.filter(() => random.next(4) === 0)]) {
    const lines = Array.from({ length: 1 + random.next(6) }, () => randomPattern(random));
    rules[directory] = lines.join(random.pick(["\n", "\n", "\r\n"]));
    writeFileSync(join(root, directory, ".gitignore"), rules[directory]);
  }
  return { workspace, rules, [Symbol.dispose]: () => workspace[Symbol.dispose]() };
}

function scanned(files: Parameters<typeof writeFiles>[1]): string[] {
  using temporary = temporaryWorkspace();
  writeFiles(temporary.root, files);
  return scan(temporary.workspace).differences.map(({ path }) => path);
}

test(".pogoignore has the last word over .gitignore in its directory", () => {
  const files = { ".gitignore": "a\nb\n", ".pogoignore": "!a\nc\n", a: "", b: "", c: "" };
  expect(scanned(files)).toEqual([".gitignore", ".pogoignore", "a"]);
});

test("git's own directories and files are never part of a snapshot", () => {
  const files = { ".git/config": "", "d/.git": "gitdir: x", "d/.gitmodules": "", "d/e": "" };
  expect(scanned(files)).toEqual(["d/.gitmodules", "d/e"]);
});

test("a directory that a deeper file takes back is looked into", () => {
  const files = {
    ".gitignore": "build/\n",
    "d/.gitignore": "!build/\n",
    "d/build/x": "",
    "build/y": "",
    "d/e/build/z": "",
  };
  expect(scanned(files)).toEqual([".gitignore", "d/.gitignore", "d/build/x", "d/e/build/z"]);
});

test("a working copy inside the working copy is left alone", () => {
  const files = { "inner/.pogo/state.sqlite": "", "inner/file": "", outer: "" };
  expect(scanned(files)).toEqual(["outer"]);
});
