/** Checks out and discards on a small mount that is full, then read-only, and says what happens. */
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isPogoError } from "#core/errors.ts";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { discard } from "#client/working-copy/discard.ts";
import { scan } from "#client/working-copy/scan.ts";
import { createWorkspace, openWorkspace } from "#client/workspace.ts";
import { changeOf, readFiles, snapshotOf } from "./workspace.ts";

const mount = process.argv[2]!;
const root = join(mount, "copy");
const ballast = join(mount, "ballast");
const binding = { server: "http://127.0.0.1:1", repository: "test", caseSensitive: true };
const small = snapshotOf({ a: "1", b: "1" });
const large = snapshotOf({ a: "2", big: new Uint8Array(600_000).fill(7) });

{
  using workspace = createWorkspace(root, binding, changeOf(small.root));
  await checkout({ workspace, fetch: small.fetch }, small.current, small.trees);
  writeFileSync(ballast, new Uint8Array(1_500_000));
  await tell("full", () => checkout({ workspace, fetch: large.fetch }, large.current, large.trees));
  rmSync(ballast);
  await tell("freed", () =>
    checkout({ workspace, fetch: large.fetch }, large.current, large.trees),
  );
  writeFileSync(join(root, "a"), "mine");
}
spawnSync("mount", ["-o", "remount,ro", mount], { stdio: "inherit" });
{
  using workspace = openWorkspace(root);
  const { fetch } = large;
  await tell("read-only", async () => {
    using _ = await workspace.lock();
    await discard({ workspace, fetch }, () => true);
  });
}
{
  using workspace = openWorkspace(root);
  const found = scan(workspace).differences;
  console.log(found.map(({ path, status }) => `${status} ${path}`).join());
}
spawnSync("mount", ["-o", "remount,rw", mount], { stdio: "inherit" });
using workspace = openWorkspace(root);
const recovery = await recover({ workspace, fetch: large.fetch });
console.log(recovery?.outcome ?? "nothing to recover");

async function tell(what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    console.log(`${what}: done`);
  } catch (error) {
    if (!isPogoError(error)) throw error;
    console.log(`${what}: ${error.code}: ${error.message.replace(mount, "MOUNT")}`);
  }
  console.log(Object.keys(readFiles(root)).join());
}
