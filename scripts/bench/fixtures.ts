/**
 * The trees that the benchmark publishes: the Linux source as Debian packages it, and its first
 * 9,000 files for quick runs.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";

import { run } from "./measure.ts";

const debianPackage = "linux-source-6.1";
const archive = `/usr/src/${debianPackage}.tar.xz`;
const smallFileCount = 9_000;

/** Makes a fixture under the cache directory unless it is there, and returns its path. */
export async function fixture(kind: "linux" | "small", cache: string): Promise<string> {
  mkdirSync(cache, { recursive: true });
  const linux = join(cache, "linux");
  await once(linux, async (scratch) => {
    if (!existsSync(archive)) {
      await run(["apt-get", "install", "-y", debianPackage], { cwd: cache });
    }
    mkdirSync(scratch);
    await run(["tar", "xf", archive, "-C", scratch, "--strip-components=1"], { cwd: cache });
  });
  if (kind === "linux") return linux;
  const small = join(cache, "small");
  await once(small, (scratch) => copyFirst(linux, scratch, smallFileCount));
  return small;
}

// An interrupted fixture is never taken for a whole one.
async function once(path: string, make: (scratch: string) => void | Promise<void>): Promise<void> {
  if (existsSync(path)) return;
  const scratch = `${path}.${process.pid}`;
  await make(scratch);
  renameSync(scratch, path);
}

function copyFirst(from: string, to: string, count: number): void {
  const entries = readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(from.length + 1))
    .sort();
  for (const path of entries.slice(0, count)) {
    mkdirSync(join(to, dirname(path)), { recursive: true });
    cpSync(join(from, path), join(to, path), { verbatimSymlinks: true });
  }
}
