import { expect, test } from "bun:test";
import { linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  openDirectoryReader,
  portableReader,
  statWords,
  type DirectoryReader,
} from "#native/directory.ts";
import { temporaryDirectory } from "../support/workspace.ts";

function listed(reader: DirectoryReader, path: string) {
  return reader.list(path).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function statOf(reader: DirectoryReader, paths: string[]): number[] {
  const out = new Uint32Array(paths.length * statWords).fill(7);
  reader.stat(Buffer.from(paths.map((path) => `${path}\0`).join("")), paths.length, out);
  return [...out];
}

test("system calls and node:fs say the same of every kind of file", () => {
  using directory = temporaryDirectory();
  const root = directory.path;
  mkdirSync(join(root, "d/empty"), { recursive: true });
  writeFileSync(join(root, "d/file"), "contents", { mode: 0o755 });
  linkSync(join(root, "d/file"), join(root, "d/hard"));
  symlinkSync("nowhere", join(root, "d/link"));
  writeFileSync(Buffer.concat([Buffer.from(`${root}/d/`), Buffer.from([0x61, 0xff])]), "");
  writeFileSync(join(root, "d/\ufffd"), "");
  writeFileSync(join(root, `d/${"é".repeat(120)}`), "");
  writeFileSync(join(root, "d/old"), "");
  utimesSync(join(root, "d/old"), -1.5, -1.5);
  Bun.spawnSync(["mkfifo", join(root, "d/pipe")]);
  using direct = openDirectoryReader(root);
  using portable = portableReader(root);
  expect(listed(direct, "d")).toEqual(listed(portable, "d"));
  expect(
    listed(direct, "d")
      .map(({ isText, kind }) => `${isText} ${kind}`)
      .sort(),
  ).toEqual([
    "false file",
    "true directory",
    "true file",
    "true file",
    "true file",
    "true file",
    "true file",
    "true other",
    "true symlink",
  ]);
  const paths = [
    ".",
    "d",
    "d/file",
    "d/link",
    "d/\ufffd",
    "d/old",
    "d/pipe",
    "missing",
    "d/file/x",
  ];
  expect(statOf(direct, paths)).toEqual(statOf(portable, paths));
  expect(statOf(direct, ["missing"])).toEqual(Array(statWords).fill(0));
});

test("a directory of many entries is listed whole", () => {
  using directory = temporaryDirectory();
  for (let index = 0; index < 1500; index++) {
    writeFileSync(join(directory.path, `${index}-${"x".repeat(200)}`), "");
  }
  using direct = openDirectoryReader(directory.path);
  using portable = portableReader(directory.path);
  expect(listed(direct, ".").length).toBe(1500);
  expect(listed(direct, ".")).toEqual(listed(portable, "."));
});

test("a symlink in a directory's place is not followed", () => {
  using directory = temporaryDirectory();
  mkdirSync(join(directory.path, "d"));
  symlinkSync("d", join(directory.path, "link"));
  for (const open of [openDirectoryReader, portableReader]) {
    using reader = open(directory.path);
    expect(() => reader.list("link")).toThrow("ENOTDIR");
    expect(() => reader.list("missing")).toThrow("ENOENT");
  }
});

test("what a stat says stays true through many calls", () => {
  using directory = temporaryDirectory();
  const paths = Array.from({ length: 300 }, (_, index) => `file-${index}`);
  for (const [index, path] of paths.entries()) {
    writeFileSync(join(directory.path, path), "x".repeat(index));
  }
  using reader = openDirectoryReader(directory.path);
  for (let round = 0; round < 100; round++) {
    const stats = statOf(reader, paths);
    const sizes = paths.map((_, index) => stats[index * statWords + 1]!);
    expect(sizes).toEqual(paths.map((_, index) => index));
    if (round % 10 === 0) Bun.gc(true);
  }
});
