import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readWholeFile, writeNewFile, writeNewFileStat } from "#native/files.ts";
import { syncFileSystem } from "#native/sync.ts";

const scratch = mkdtempSync(join(tmpdir(), "pogo-files-"));
afterAll(() => rmSync(scratch, { recursive: true }));

test("a file of any size is written and read whole", () => {
  for (const size of [0, 1, 4096, 65_535, 65_536, 65_537, 3_000_000]) {
    const path = join(scratch, `sized-${size}`);
    const bytes = new Uint8Array(size).fill(size % 251);
    writeNewFile(path, bytes, 0o600);
    expect(Buffer.compare(readFileSync(path), bytes)).toBe(0);
    expect(Buffer.compare(readWholeFile(path, size + 1), bytes)).toBe(0);
    expect(readWholeFile(path, size).length).toBe(size);
    if (size > 1) expect(readWholeFile(path, size - 1).length).toBe(size - 1);
  }
});

test("the stat of a new file is the one that the system gives later", () => {
  const path = join(scratch, "stat");
  const stat = writeNewFileStat(path, Buffer.from("hello"), 0o700);
  const later = statSync(path, { bigint: true });
  const { size, mtimeNs, ctimeNs, ino, mode } = later;
  expect(stat).toMatchObject({ size, mtimeNs, ctimeNs, ino, mode });
  if (process.platform !== "win32") expect(mode & 0o777n).toBe(0o700n);
});

test("what exists is not overwritten, nor what a link leads to", () => {
  const path = join(scratch, "existing");
  writeFileSync(path, "mine");
  symlinkSync(path, join(scratch, "link"));
  symlinkSync(join(scratch, "nowhere"), join(scratch, "dangling"));
  for (const name of ["existing", "link", "dangling"]) {
    expect(() => writeNewFile(join(scratch, name), Buffer.from("x"), 0o600)).toThrow(
      expect.objectContaining({ code: "EEXIST" }),
    );
  }
  expect(readFileSync(path, "utf8")).toBe("mine");
  expect(readdirSync(scratch)).not.toContain("nowhere");
});

test("failures carry the system's code", () => {
  const missing = join(scratch, "missing", "file");
  const below = join(scratch, "plain", "file");
  writeFileSync(join(scratch, "plain"), "");
  const code = (name: string) => expect.objectContaining({ code: name });
  expect(() => writeNewFile(missing, Buffer.from("x"), 0o600)).toThrow(code("ENOENT"));
  expect(() => readWholeFile(missing, 10)).toThrow(code("ENOENT"));
  expect(() => readWholeFile(below, 10)).toThrow(code("ENOTDIR"));
  expect(() => readWholeFile(scratch, 10)).toThrow(code("EISDIR"));
});

test.skipIf(process.platform !== "linux")(
  "the file system is synced, many times at once",
  async () => {
    let turns = 0;
    const ticking = setInterval(() => turns++, 0);
    writeFileSync(join(scratch, "dirty"), new Uint8Array(8_000_000));
    const synced = await Promise.all(Array.from({ length: 8 }, () => syncFileSystem(scratch)));
    clearInterval(ticking);
    expect(new Set(synced)).toEqual(new Set([true]));
    expect(turns).toBeGreaterThan(0);
  },
);

test("syncing what is not there fails with the system's code", async () => {
  if (process.platform !== "linux") return;
  await expect(syncFileSystem(join(scratch, "absent"))).rejects.toMatchObject({ code: "ENOENT" });
});
