import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../../support/workspace.ts";

// A mount that nobody else sees and that ends with the process.
const program = join(import.meta.dir, "../../support/full-disk-checkout.ts");
const script = `mount -t tmpfs -o size=2m none "$1" && exec "$2" "$3" "$1"`;
const command = ["-rm", "sh", "-c", script, "sh"];

using scratch = temporaryDirectory();
const canMount =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", scratch.path]).status === 0;

test.skipIf(!canMount)("a full or read-only disk is a clear error, and nothing is damaged", () => {
  using directory = temporaryDirectory();
  const mount = join(directory.path, "mounted");
  mkdirSync(mount);
  const child = spawnSync("unshare", [...command, mount, process.execPath, program], {
    encoding: "utf8",
  });
  expect(child.stderr).toBe("");
  expect(child.stdout.trim().split("\n")).toEqual([
    'full: unavailable: no space left to write "big"',
    "a,b",
    "freed: done",
    "a,big",
    "read-only: denied: cannot write in MOUNT/copy/.pogo",
    "a,big",
    "modified a",
    "nothing to recover",
  ]);
});
