/** Backups: a server is backed up, lost, and restored; all is as it was, on the other engine. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { newRequestId, openRemote, type Remote } from "#client/remote.ts";
import { toHex } from "#core/hash.ts";
import { encodeTree, treeHash } from "#core/tree.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import type { Channel } from "#rpc/channel.ts";
import {
  findSnapshot,
  listSnapshots,
  openBackup,
  verifyBackup,
  type Backup,
} from "#server/backup/directory.ts";
import { readRows } from "#server/backup/format.ts";
import { receiveBackup } from "#server/backup/receive.ts";
import { restoreBackup, type RestoreOptions } from "#server/backup/restore.ts";
import { connect } from "#server/db/connect.ts";
import type { Rows } from "#server/db/dump.ts";
import { blobsOf } from "../support/gc-world.ts";
import {
  createDatabase,
  engines,
  startMs,
  temporaryDirectory,
  type Engine,
} from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

const everything = { share: 1, repair: false, from: "" };
const big = noise(5 * 1024 * 1024);

describe.each(engines)("a server on %s", (engine) => {
  // What is stored is the same on either; the embedded database takes longer to start.
  const isWhole = engine === engines[0];
  const closing = new AsyncDisposableStack();
  let directory: string;
  let server: TestServer;
  let root: Channel;
  let remote: Remote;
  let backup: Backup;
  beforeAll(async () => {
    directory = closing.use(temporaryDirectory()).path;
    server = closing.use(await startTestServer(engine));
    root = server.channel(testRootToken);
    remote = await createRemote(root, "game");
    await publishBig(remote);
    await publish(remote, { a: "a", "d/b": "b", link: { link: "a" } });
    backup = closing.use(await openBackup(join(directory, "backup"), { create: true }));
  });
  afterAll(() => closing.disposeAsync());

  /** Restores to where nothing is. */
  async function restore(
    name: string,
    options: Partial<RestoreOptions> = {},
    target: Engine = engine,
  ) {
    const database = target === "postgres" ? closing.use(await createDatabase()) : undefined;
    const place = { dataDirectory: join(directory, name), databaseUrl: database?.url };
    const run = () => restoreBackup({ source: backup.directory, ...place, ...options });
    return { place, run };
  }

  test("is restored as it was: rows, objects, tokens; and goes on from there", async () => {
    await root.unary(Users.createUser, { name: "ann", admin: false });
    const member = { name: "ann", role: "write", group: false };
    await root.unary(Members.setMember, { repository: "game", member });
    const asked = { name: "laptop", expiresAt: 0, user: "ann" };
    const { secret } = await root.unary(Auth.createToken, asked);
    const received = await receiveBackup({ channel: root, backup });
    // Three small ones, the list of the chunks, and the chunks.
    expect(received).toMatchObject({ objects: 6, sentObjects: 6, lost: [] });

    const target = engines.find((one) => one !== engine);
    const { place, run } = await restore("restored", {}, target);
    expect(await run()).toMatchObject({ snapshot: received.snapshot, objects: 6, lost: [] });
    const objectsIn = (at: string) => filesBelow(join(at, "objects"));
    expect(objectsIn(place.dataDirectory)).toEqual(objectsIn(server.dataDirectory));
    await using restored = await startTestServer("embedded", { ...place, rootToken: undefined });
    expect(restored.server.rootToken).toBeUndefined();
    const again = restored.channel(testRootToken);
    const before = await rowsOf(backup);
    expect(await receiveBackup({ channel: again, backup })).toMatchObject({ sentObjects: 0 });
    // But for what says that this backup was made.
    const after = await rowsOf(backup);
    const events = after["audit_events"]!.filter((row) => before["audit_events"]!.includes(row));
    const log: typeof after = { audit_events: events, audit_head: before["audit_head"]! };
    expect({ ...after, ...log }).toEqual(before);
    const ann = restored.channel(secret);
    expect((await ann.unary(Auth.getUser, {})).name).toBe("ann");
    const theirs = openRemote(ann, "game");
    for (const { hash, bytes } of blobsOf(big)) {
      const [got] = await Array.fromAsync(theirs.getObjects([hash]));
      expect(Buffer.compare(got!.bytes, bytes)).toBe(0);
    }
    const said = await Array.fromAsync(again.serverStream(Storage.verify, everything));
    expect(said.flatMap(({ findings }) => findings)).toEqual([]);
    // What is new has numbers after those that there were.
    await again.unary(Users.createUser, { name: "bob", admin: false });
    await publish(theirs, { a: "new" });
    const next = await receiveBackup({ channel: again, backup });
    expect(next).toMatchObject({ objects: 7, sentObjects: 1 });
  });

  test.skipIf(!isWhole)("is backed up as it is at one moment, while others push", async () => {
    let isOver = false;
    const pushing = [1, 2].map(async (pusher) => {
      for (let count = 0; !isOver; count++) {
        await publish(remote, { a: `${pusher} ${count}`, [`d/${pusher}`]: `${count}` });
      }
    });
    const first = await receiveBackup({ channel: root, backup });
    const second = await receiveBackup({ channel: root, backup });
    isOver = true;
    await Promise.all(pushing);
    expect(second.sentObjects).toBe(second.objects - first.objects);
    const { place, run } = await restore("moment");
    await run();
    await using restored = await startTestServer("embedded", place);
    const channel = restored.channel(testRootToken);
    const said = await Array.fromAsync(channel.serverStream(Storage.verify, everything));
    expect(said.flatMap(({ findings }) => findings)).toEqual([]);
    expect(said.reduce((sum, { objects }) => sum + objects, 0)).toBe(second.objects);
  });

  test.skipIf(!isWhole)("is restored to any snapshot, and only where nothing is", async () => {
    const [oldest] = listSnapshots(backup);
    const { place, run } = await restore("oldest", { snapshot: oldest });
    expect(await run()).toMatchObject({ snapshot: oldest, objects: 6 });
    expect(await refusal(run())).toBe("already-exists");
    // An empty database, but somebody's objects.
    const { run: elsewhere } = await restore("other", {
      objects: join(place.dataDirectory, "objects"),
    });
    expect(await refusal(elsewhere())).toBe("already-exists");
    const { run: absent } = await restore("absent", { snapshot: "2001-01-01" });
    expect(await refusal(absent())).toBe("not-found");
    expect(await refusal(openBackup(directory, { create: true }))).toBe("usage");
    expect(await refusal(openBackup(join(directory, "nothing")))).toBe("usage");
  });

  test.skipIf(!isWhole)(
    "is not restored from what is damaged, unless that is asked for",
    async () => {
      const problems = async () => {
        const said = await Array.fromAsync(verifyBackup(backup));
        return said.flatMap((now) => now.problems);
      };
      expect(await problems()).toEqual([]);
      await receiveBackup({ channel: root, backup });
      const [list] = blobsOf(big).slice(-1);
      const [flipped, gone] = blobsOf(big);
      const placeOf = (hash: Uint8Array) =>
        join(backup.directory, "objects", toHex(hash).slice(0, 2), toHex(hash));
      const whole = await readFile(placeOf(gone!.hash));
      await rm(placeOf(gone!.hash));
      await flipBit(placeOf(flipped!.hash), 12_345);
      const snapshots = listSnapshots(backup);
      expect((await problems()).sort()).toEqual(
        [
          `object ${toHex(flipped!.hash)} is damaged: malformed object: the checksum does not match`,
          ...snapshots.map((name) => `${name} lacks object ${toHex(gone!.hash)}`),
        ].sort(),
      );
      const { place, run } = await restore("damaged");
      expect(await refusal(run())).toBe("corrupt");
      expect(await refusal(startTestServer("embedded", place))).toBe("unavailable");
      const skipping = () =>
        restoreBackup({ source: backup.directory, ...place, skipDamaged: true });
      const { lost } = await skipping();
      expect(lost.map(toHex).sort()).toEqual(
        [flipped!, gone!].map(({ hash }) => toHex(hash)).sort(),
      );
      {
        await using restored = await startTestServer("embedded", place);
        const theirs = openRemote(restored.channel(testRootToken), "game");
        const hashes = [gone!.hash, flipped!.hash, list!.hash];
        expect((await theirs.findMissing(hashes, [])).objects).toEqual([0, 1]);
      }

      // The next backup brings what is not there; what is damaged has to go.
      await rm(placeOf(flipped!.hash));
      expect(await receiveBackup({ channel: root, backup })).toMatchObject({ sentObjects: 2 });
      expect(await readFile(placeOf(gone!.hash))).toEqual(whole);
      expect(await problems()).toEqual([]);
      const { name, path } = findSnapshot(backup);
      const { run: cut } = await restore("cut");
      const bytes = await readFile(path);
      for (const length of [3, 20, bytes.length - 40, bytes.length - 1]) {
        await writeFile(path, bytes.subarray(0, length));
        expect(await refusal(cut())).toBe("corrupt");
      }
      for (const offset of [0, 15, 300, bytes.length - 1]) {
        await writeFile(path, bytes);
        await flipBit(path, offset);
        expect(await refusal(cut())).toBe("corrupt");
      }
      expect(await problems()).toEqual([expect.stringContaining(`${name}.pogo-backup is damaged`)]);
      await rm(path);
    },
  );

  test.skipIf(!isWhole)(
    "is backed up without what it has lost itself, and says what that is",
    async () => {
      const { change } = await publish(remote, { lost: "this one is lost" });
      const [blob] = blobsOf(Buffer.from("this one is lost"));
      const name = toHex(blob!.hash);
      await rm(join(server.dataDirectory, "objects", name.slice(0, 2), name));
      const received = await receiveBackup({ channel: root, backup });
      expect(received.lost.map(toHex)).toEqual([name]);
      const { place, run } = await restore("lost");
      expect((await run()).lost.map(toHex)).toEqual([name]);
      {
        await using restored = await startTestServer("embedded", place);
        const theirs = openRemote(restored.channel(testRootToken), "game");
        expect((await theirs.getChange(change!.name)).name).toBe(change!.name);
        expect((await theirs.findMissing([blob!.hash], [])).objects).toEqual([0]);
      }
      await remote.putObjects([blob!]);
      const mended = await receiveBackup({ channel: root, backup });
      expect(mended).toMatchObject({ sentObjects: 1, lost: [] });
    },
  );

  test.skipIf(!isWhole)("is backed up without what was obliterated", async () => {
    await publish(remote, { secret: "a secret that leaked" });
    const [blob] = blobsOf(Buffer.from("a secret that leaked"));
    const { objects } = await receiveBackup({ channel: root, backup });
    const asked = { repository: "", path: "", dryRun: false, reason: "it leaked" };
    await root.unary(Storage.obliterate, { ...asked, object: blob!.hash });
    const received = await receiveBackup({ channel: root, backup });
    expect(received).toMatchObject({ objects: objects - 1, sentObjects: 0, lost: [] });
    const { place, run } = await restore("obliterated");
    expect(await run()).toMatchObject({ objects: objects - 1, lost: [] });
    const names = Object.keys(filesBelow(join(place.dataDirectory, "objects")));
    expect(names.filter((name) => name.endsWith(toHex(blob!.hash)))).toEqual([]);
  });

  test.skipIf(engine !== "postgres")("is backed up whole: every table is in it", async () => {
    await receiveBackup({ channel: root, backup });
    const { path } = findSnapshot(backup);
    const found = await gathered(readRows(path));
    const sql = connect(server.databaseUrl!);
    try {
      const tables = await sql<{ name: string }[]>`
        select tablename as name from pg_tables where schemaname = 'public'`;
      const leftOut = ["migrations", "sso_logins", "upkeep", "walks", "walk_marks", "walk_unmet"];
      for (const { name } of tables.filter((table) => !leftOut.includes(table.name))) {
        const rows = await sql<{ row: string }[]>`
          select row_to_json(t)::text as row from ${sql(name)} t`;
        expect([name, found[name] ?? []]).toEqual([name, rows.map(({ row }) => row).sort()]);
      }
    } finally {
      await sql.end({ timeout: 1 });
    }
  });
});

test("objects that are encrypted stay so, and are restored with the key alone", async () => {
  const [engine] = engines as [Engine];
  using directory = temporaryDirectory();
  const keyOf = (byte: number) => `id: ${Buffer.alloc(32, byte).toString("base64")}`;
  await using server = await startTestServer(engine, { keys: keyOf(7) });
  const root = server.channel(testRootToken);
  await publishBig(await createRemote(root, "game"));
  await using backup = await openBackup(join(directory.path, "backup"), { create: true });
  await receiveBackup({ channel: root, backup });
  const sealed = Object.values(filesBelow(join(backup.directory, "objects")));
  expect(sealed.map((bytes) => bytes.readUInt8(4))).toEqual(sealed.map(() => 4));

  await using database = engine === "postgres" ? await createDatabase() : undefined;
  const place = { dataDirectory: join(directory.path, "restored"), databaseUrl: database?.url };
  const run = (keys?: string) => restoreBackup({ source: backup.directory, ...place, keys });
  expect(await refusal(run())).toBe("usage");
  expect(await refusal(run(keyOf(8)))).toBe("usage");
  expect(await run(keyOf(7))).toMatchObject({ objects: 4, lost: [] });
  await using restored = await startTestServer("embedded", { ...place, keys: keyOf(7) });
  const channel = restored.channel(testRootToken);
  const said = await Array.fromAsync(channel.serverStream(Storage.verify, everything));
  expect(said.flatMap(({ findings }) => findings)).toEqual([]);

  // Databases of tests are copies of one, and so would be the same server's.
  await using fresh = engine === "postgres" ? await createDatabase() : undefined;
  const elsewhere = { dataDirectory: join(directory.path, "another"), databaseUrl: fresh?.url };
  await using another = await startTestServer("embedded", elsewhere);
  const theirs = { channel: another.channel(testRootToken), backup };
  expect(await refusal(receiveBackup(theirs))).toBe("usage");
});

async function publishBig(remote: Remote): Promise<void> {
  const blobs = blobsOf(big);
  const { hash } = blobs.at(-1)!;
  await remote.putObjects(blobs);
  const tree = encodeTree([
    { kind: "file", name: "big", executable: false, size: big.length, hash },
  ]);
  await remote.putTrees([{ hash: treeHash(tree), bytes: tree }]);
  await remote.commit({
    requestId: newRequestId(),
    change: newChangeName(),
    expectedVersion: 0,
    tree: treeHash(tree),
    parents: [],
    child: newChangeName(),
  });
}

/** All rows of the newest snapshot, but for when tokens were used. */
async function rowsOf(backup: Backup): Promise<Record<string, string[]>> {
  const all = await gathered(readRows(findSnapshot(backup).path));
  const tokens = all["tokens"]!.map((row) => row.replace(/"last_used_at":[^,]*,/, ""));
  return { ...all, tokens };
}

async function gathered(tables: AsyncIterable<Rows>): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for await (const { table, rows } of tables) (all[table] ??= []).push(...rows);
  for (const rows of Object.values(all)) rows.sort();
  return all;
}

function filesBelow(directory: string): Record<string, Buffer> {
  const names = readdirSync(directory, { recursive: true }).map(String).sort();
  const files = names.filter((name) => /[0-9a-f]{64}$/.test(name));
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(directory, name))]));
}

async function flipBit(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[offset]! ^= 1;
  await writeFile(path, bytes);
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += 65_536) {
    crypto.getRandomValues(bytes.subarray(offset, offset + 65_536));
  }
  return bytes;
}
