/** Bytes rot, on the server and in a working copy: what is damaged is named, nothing else is. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

import { openRemote, type Remote } from "#client/remote.ts";
import { sha256, toHex } from "#core/hash.ts";
import { decodeChunkList, encodeObject } from "#core/object.ts";
import { openChannel } from "#rpc/channel.ts";
import { connect } from "#server/db/connect.ts";
import { startServer, type RunningServer } from "#server/server.ts";
import { createDatabase, engines, temporaryDirectory } from "../support/postgres.ts";
import { openPogo, type Pogo } from "../support/pogo.ts";
import { rootToken } from "../support/serving.ts";

const corrupt = 8;
const text = "these contents will rot in the store, one bit of one byte at a time\n".repeat(9);
const hash = sha256(Buffer.from(text));

const closing = new AsyncDisposableStack();
let pogo: Pogo;
let server: RunningServer;
let remote: Remote;
let remoteOf: (repository: string) => Remote;
let path: string;
let copy: string;
let databaseUrl: string | undefined;

beforeAll(async () => {
  path = closing.use(temporaryDirectory()).path;
  if (engines[0] === "postgres") databaseUrl = closing.use(await createDatabase()).url;
  pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
  const dataDirectory = join(path, "data");
  server = await startServer({ dataDirectory, databaseUrl, listen: "127.0.0.1:0", rootToken });
  closing.defer(() => server.close());
  const channel = openChannel({ url: server.url, token: rootToken });
  closing.defer(() => channel.close());
  remoteOf = (repository) => openRemote(channel, repository);
  remote = remoteOf("rot");
  copy = join(path, "copy");
  await pogo.ok(["init", copy, "--server", server.url, "--name", "rot"]);
  writeFileSync(join(copy, "rotten"), text);
  writeFileSync(join(copy, "sound"), "sound\n");
  await pogo.ok(["push"], { cwd: copy });
}, 120_000);
afterAll(() => closing.disposeAsync());

describe("an object that rots in the store", () => {
  const place = () => join(path, "data/objects", toHex(hash).slice(0, 2), toHex(hash));
  let clones = 0;
  let repair: () => Promise<unknown>;

  async function expectDamaged(): Promise<void> {
    const read = await pogo.run(["cat", "@", "rotten"], { cwd: copy });
    expect([read.exitCode, read.stdout]).toEqual([corrupt, ""]);
    expect(read.stderr).toContain(toHex(hash));
    const target = join(path, `clone-${++clones}`);
    const cloned = await pogo.run(["clone", `${server.url}/rot`, target]);
    expect(cloned.exitCode).toBe(corrupt);
    expect(cloned.stderr).toContain(toHex(hash));
    expect(cloned.stderr).toContain("\npogo: hint: pogo push --repair, in a working copy that has");
    expect(readdirSync(target)).not.toContain("rotten");
    expect(await pogo.ok(["cat", "@", "sound"], { cwd: copy })).toBe("sound\n");
    // What had begun is finished when the object is back.
    await repair();
    await pogo.ok(["clone", `${server.url}/rot`, target]);
    expect(readFileSync(join(target, "rotten"), "utf8")).toBe(text);
  }

  test("is named with exit 8, and is repaired when it is sent again", async () => {
    repair = () => remote.putObjects([{ hash, bytes: encodeObject(Buffer.from(text)) }]);
    const whole = readFileSync(place());
    for (const damage of [
      flip(whole, 30),
      flip(whole, 5),
      flip(whole, 20),
      whole.subarray(0, 40),
    ]) {
      writeFileSync(place(), damage);
      await expectDamaged();
      expect(readFileSync(place())).toEqual(whole);
    }
  }, 60_000);

  test("is repaired by what the hint says", async () => {
    repair = async () => {
      const push = async () => JSON.parse(await pogo.ok(["push", "--repair", "--json"], inCopy));
      expect((await push()).repaired.objects).toBe(1);
      expect((await push()).repaired.objects).toBe(0);
    };
    const inCopy = { cwd: copy };
    const whole = readFileSync(place());
    writeFileSync(place(), flip(whole, 30));
    await expectDamaged();
    rmSync(place());
    await expectDamaged();
    expect(readFileSync(place())).toEqual(whole);
    expect(await pogo.ok(["push", "--repair"], inCopy)).toBe(
      "the server has all of these files, as far as it knows\n" +
        "nothing to push: the working copy is clean\n",
    );
  }, 60_000);

  test("is repaired by a push that adds the same contents", async () => {
    repair = async () => {
      const other = join(path, `aside-${clones}`);
      cpSync(copy, other, { recursive: true });
      writeFileSync(join(other, "another"), text);
      await pogo.ok(["push"], { cwd: other });
    };
    writeFileSync(place(), flip(readFileSync(place()), 40));
    await expectDamaged();
  }, 60_000);

  test("may be a piece of a large file", async () => {
    const large = join(path, "large");
    await pogo.ok(["init", large, "--server", server.url, "--name", "large"]);
    const noise = crypto.getRandomValues(new Uint8Array(64 * 1024));
    const bytes = Buffer.alloc(6 * 1024 * 1024, noise);
    for (let at = 0; at < bytes.length; at += noise.length) bytes.writeUInt32LE(at, at);
    writeFileSync(join(large, "file"), bytes);
    await pogo.ok(["push"], { cwd: large });
    const named = sha256(bytes);
    const [list] = await Array.fromAsync(remoteOf("large").getObjects([named]));
    for (const lost of [decodeChunkList(list!.bytes)[0]!.hash, named]) {
      rmSync(join(path, "data/objects", toHex(lost).slice(0, 2), toHex(lost)));
      const target = join(path, `clone-without-${toHex(lost)}`);
      const cloned = await pogo.run(["clone", `${server.url}/large`, target]);
      expect([cloned.exitCode, cloned.stderr]).toEqual([
        corrupt,
        expect.stringContaining(`${toHex(lost)} has disappeared`),
      ]);
      await pogo.ok(["push", "--repair"], { cwd: large });
      await pogo.ok(["clone", `${server.url}/large`, target]);
      expect(readFileSync(join(target, "file")).equals(bytes)).toBe(true);
    }
  }, 60_000);

  test("is repaired by a push to another repository, too", async () => {
    let names = 0;
    repair = async () => {
      const other = join(path, `other-${++names}`);
      await pogo.ok(["init", other, "--server", server.url, "--name", `other-${names}`]);
      writeFileSync(join(other, "the-same"), text);
      await pogo.ok(["push"], { cwd: other });
    };
    writeFileSync(place(), flip(readFileSync(place()), 40));
    await expectDamaged();
    rmSync(place());
    await expectDamaged();
  }, 60_000);
});

test("a tree that rots in the database is corrupt to who asks for it", async () => {
  if (databaseUrl === undefined) return;
  const sql = connect(databaseUrl);
  try {
    const rows = await sql<{ hash: Uint8Array; data: Uint8Array }[]>`select hash, data from trees`;
    for (const { hash: tree, data } of rows) {
      if (data.length > 0) await sql`update trees set data = ${flip(data, 3)} where hash = ${tree}`;
    }
    const target = join(path, "clone-of-trees");
    const { exitCode, stderr } = await pogo.run(["clone", `${server.url}/rot`, target]);
    expect([exitCode, stderr]).toEqual([corrupt, expect.stringContaining("tree")]);
    for (const { hash: tree, data } of rows) {
      await sql`update trees set data = ${data} where hash = ${tree}`;
    }
    await pogo.ok(["clone", `${server.url}/rot`, target]);
  } finally {
    await sql.end();
  }
}, 60_000);

test("a working copy whose state is damaged says so, and loses no file", async () => {
  const damages: Record<string, (file: string) => void> = {
    "garbage from the start": (file) => overwrite(file, 0),
    "garbage after the header": (file) => overwrite(file, 100),
    "cut in the middle": (file) => truncateSync(file, Math.floor(statSync(file).size / 2)),
    "nothing left": (file) => truncateSync(file, 0),
    gone: (file) => rmSync(file),
    "a text file": (file) => writeFileSync(file, "not a database\n"),
  };
  for (const [name, damage] of Object.entries(damages)) {
    const root = join(path, `damaged ${name}`);
    cpSync(copy, root, { recursive: true });
    writeFileSync(join(root, "edited"), "not yet pushed\n");
    const control = join(root, ".pogo");
    damage(join(control, "state.sqlite"));
    for (const rest of ["state.sqlite-wal", "state.sqlite-shm"]) {
      rmSync(join(control, rest), { force: true });
    }
    for (const command of ["status", "push", "discard", "log"]) {
      const { exitCode, stderr } = await pogo.run([command], { cwd: root });
      expect([name, command, exitCode]).toEqual([name, command, corrupt]);
      expect(stderr).toContain("state.sqlite");
      expect(stderr).toMatch(/\npogo: hint: your files are untouched: clone/);
    }
    const files = readdirSync(root).sort();
    expect(files).toEqual([".pogo", "edited", "rotten", "sound"]);
  }
}, 120_000);

function flip(bytes: Uint8Array, offset: number): Buffer {
  const copied = Buffer.from(bytes);
  copied[offset]! ^= 0x10;
  return copied;
}

function overwrite(file: string, from: number): void {
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, Buffer.alloc(statSync(file).size - from, 0xa5), 0, undefined, from);
  closeSync(descriptor);
}
