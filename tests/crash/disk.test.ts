/** Full disks: small ones that nobody but the process under test sees, and that end with it. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openRemote } from "#client/remote.ts";
import { openChannel } from "#rpc/channel.ts";
import { missingOf, treeOf, verifyVersions } from "../support/crash-world.ts";
import { openPogo, program, type Pogo } from "../support/pogo.ts";
import { engines, prepareDatabase, temporaryDirectory } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

const unavailable = 7;
const mib = 1024 * 1024;
const { random } = seededRandom(1);
const inMount = 'mount -t tmpfs -o "size=$1" none "$2" && shift 2 && exec "$@"';
const canMount =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "sh", "-c", inMount, "sh", "1m", "/mnt", "true"]).status === 0;
if (!canMount) console.warn("no mounts of its own are allowed here: full disks are not tested");

const closing = new AsyncDisposableStack();
let pogo: Pogo;
let path: string;
beforeAll(() => {
  path = closing.use(temporaryDirectory()).path;
  pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
});
afterAll(() => closing.disposeAsync());

/** A command that runs another one on a small disk. */
function onDisk(size: string, mount: string): string[] {
  mkdirSync(mount, { recursive: true });
  return ["unshare", "-rm", "sh", "-c", inMount, "sh", size, mount];
}

function writeNoise(root: string, name: string, bytes: number): void {
  writeFileSync(join(root, name), noise(bytes));
}

test.skipIf(!canMount)(
  "a server whose objects' disk is full says so, and goes on when there is space",
  async () => {
    const mount = join(path, "objects");
    const options = ["--objects", mount];
    const data = join(path, "data");
    await using database = await prepareDatabase(engines[0]!, data);
    await using server = await startServing({
      home: pogo.home,
      data,
      databaseUrl: database.databaseUrl,
      options,
      through: onDisk("8m", mount),
    });
    const channel = openChannel({ url: server.url, token: rootToken });
    closing.defer(() => channel.close());
    const remote = openRemote(channel, "full");
    const cwd = join(path, "pusher");
    await pogo.ok(["init", cwd, "--server", server.url, "--name", "full"]);
    writeNoise(cwd, "first", 2 * mib);
    await pogo.ok(["push"], { cwd });
    const first = treeOf(cwd);

    // The mount as only the server's process sees it.
    const ballast = `/proc/${server.pid}/root${mount}/ballast`;
    writeFileSync(ballast, new Uint8Array(4 * mib));
    for (let index = 0; index < 8; index++) writeNoise(cwd, `noise-${index}`, 450_000);
    for (const _ of [1, 2]) {
      const { exitCode, stderr } = await pogo.run(["push"], { cwd });
      expect([exitCode, stderr]).toEqual([
        unavailable,
        `pogo: error: cannot write objects in ${mount}: the disk is full\n` +
          `pogo: hint: free space on the volume of ${mount}\n`,
      ]);
    }
    const change = await remote.getChange("");
    expect([change.currentVersion, change.tree.toHex()]).toEqual([1, first]);
    await verifyVersions(remote);

    rmSync(ballast);
    const missing = await missingOf(remote, cwd);
    const again = await pogo.json(["push"], { cwd });
    expect(again).toMatchObject({ version: 2, sent: missing });
    expect((await remote.getChange("")).tree.toHex()).toBe(treeOf(cwd));
    await verifyVersions(remote);
  },
  120_000,
);

test.skipIf(!canMount)(
  "a client whose disk is full says so, and goes on when there is space",
  async () => {
    const data = join(path, "data-2");
    await using database = await prepareDatabase(engines[0]!, data);
    const { databaseUrl } = database;
    await using server = await startServing({ home: pogo.home, data, databaseUrl });
    const source = join(path, "source");
    await pogo.ok(["init", source, "--server", server.url, "--name", "big"]);
    for (let index = 0; index < 12; index++) writeNoise(source, `noise-${index}`, 500_000);
    await pogo.ok(["push"], { cwd: source });

    const mount = join(path, "small");
    const script = `
    pogo() { "$PROGRAM" $SCRIPT "$@"; }
    say() { echo "$1: $2"; }
    pogo clone "$URL/big" copy 2>clone-error; say "clone on a full disk" $?
    cat clone-error
    mount -o remount,size=40m "$MOUNT"
    pogo clone "$URL/big" copy >&2; say "clone with space" $?
    diff -r --exclude=.pogo "$SOURCE" copy >&2; say "difference" $?
    cd copy
    echo edited > edited
    dd if=/dev/zero of=../ballast bs=64k 2>/dev/null
    dd if=/dev/zero of=../ballast-2 bs=1 2>/dev/null
    pogo push 2>push-error >/dev/null; say "push on a full disk" $?
    pogo status >/dev/null 2>&1; say "status on a full disk" $?
    rm ../ballast ../ballast-2
    rm -f push-error
    pogo push >&2; say "push with space" $?
    pogo status --json | grep -o '"clean":[a-z]*'
  `;
    const [executable, main = ""] = program;
    const child = Bun.spawn([...onDisk("3m", mount), "sh", "-c", `cd "$MOUNT"; ${script}`], {
      cwd: path,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: pogo.home,
        POGO_TOKEN: rootToken,
        PROGRAM: executable!,
        SCRIPT: main,
        URL: server.url,
        MOUNT: mount,
        SOURCE: source,
      },
    });
    const [said, complaints] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    await child.exited;
    expect(said.replace(/"noise-\d+"/, "NAME"), complaints).toBe(
      [
        "clone on a full disk: 7",
        "pogo: error: no space left to write NAME",
        "pogo: hint: free some space, then run the command again",
        "clone with space: 0",
        "difference: 0",
        "push on a full disk: 7",
        "status on a full disk: 0",
        "push with space: 0",
        '"clean":true',
        "",
      ].join("\n"),
    );
  },
  120_000,
);

/** Bytes that no compression makes smaller. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = random() * 256;
  return bytes;
}
