import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

import { newRequestId, type Remote } from "#client/remote.ts";
import { dayMs } from "#core/limits.ts";
import { encodeTree, treeHash } from "#core/tree.ts";
import { condemn, listUnmet } from "#server/db/collection.ts";
import { connect, transaction, type Sql } from "#server/db/connect.ts";
import { beginWalk, endWalk, type Walk } from "#server/db/walks.ts";
import {
  collect,
  collectDefaults,
  type Collected,
  type CollectOptions,
} from "#server/gc/collect.ts";
import { markAll } from "#server/gc/mark.ts";
import { openDiskStore } from "#server/store/disk.ts";
import type { ObjectStore } from "#server/store/store.ts";
import { blobsOf, holdings, pass, startPush, type SlowPush } from "../support/gc-world.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName } from "../support/publish.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";
import { MemoryStore } from "../support/snapshot.ts";

setDefaultTimeout(startMs);

// The embedded database is its server's alone: nothing could be done to it from beside.
const isPostgres = engines[0] === "postgres";

type World = {
  sql: Sql;
  store: ObjectStore;
  remote: Remote;
  contents: MemoryStore;
  collect(options?: Partial<CollectOptions>, through?: ObjectStore): Promise<Collected>;
};

const opened = new AsyncDisposableStack();
let server: TestServer;
let sql: Sql;
let store: ObjectStore;
beforeAll(async () => {
  if (!isPostgres) return;
  server = opened.use(await startTestServer("postgres"));
  sql = connect(server.databaseUrl!);
  opened.defer(() => sql.end({ timeout: 1 }));
  store = opened.use(await openDiskStore(join(server.dataDirectory, "objects")));
});
afterAll(() => opened.disposeAsync());

/** A server that holds nothing, and beside it what another server would collect with. */
async function openWorld(): Promise<World> {
  await sql`delete from repositories`;
  await sql`truncate objects, repository_objects cascade`;
  for await (const hash of store.list()) await store.delete(hash);
  return {
    sql,
    store,
    remote: await createRemote(server.channel(testRootToken), "world"),
    contents: new MemoryStore(),
    async collect(options = {}, through = store) {
      const parts = { sql, store: through };
      const said = await Array.fromAsync(collect(parts, { ...collectDefaults, ...options }));
      return said.at(-1)!;
    },
  };
}

describe.skipIf(!isPostgres)("garbage collection", () => {
  test("what was overwritten can be gone back to for thirty days, and then it cannot", async () => {
    const world = await openWorld();
    const { sql, remote, contents } = world;
    const run = async (push: SlowPush) => {
      while (!push.isDone()) await push.step(remote);
    };
    await run(startPush(contents, { root: contents.add({ "a/b": "removed", c: "overwritten" }) }));
    const [change] = (await sql`select name from changes`) as unknown as [{ name: string }];
    const root = contents.add({ c: "what is left" });
    await run(startPush(contents, { root, change: change.name }));
    const settle = async (days: number) => {
      await pass(sql, days * dayMs);
      for (let round = 0; round < 3; round++) {
        await pass(sql, 1.5 * dayMs);
        await world.collect();
      }
      return (await holdings(sql, world.store)).stored.size;
    };
    const requestId = newRequestId;
    expect(await settle(10)).toBe(3);
    await remote.undoOperation({ requestId: requestId(), number: 0 });
    expect((await remote.getChange(change.name)).currentVersion).toBe(1);
    await remote.redoOperation({ requestId: requestId() });
    // What the redo moved away from can be gone back to from now on.
    expect(await settle(20)).toBe(3);
    expect(await settle(10)).toBe(1);
    await expect(remote.undoOperation({ requestId: requestId(), number: 0 })).rejects.toMatchObject(
      {
        code: "not-found",
        message: `version 1 of change ${change.name} was given up, and its files are gone`,
      },
    );
    await expect(remote.getEntry(`${change.name}@1`, "a")).rejects.toMatchObject({
      code: "not-found",
    });
    expect((await remote.getEntry(change.name, "c")).entry).toBeDefined();
  });

  test("what versions that diverged replaced stays as long as their removal can be undone", async () => {
    const { sql, store, remote, contents, collect } = await openWorld();
    const name = newChangeName();
    const commit = (version: number, text: string) =>
      commitText({ remote, contents }, name, version, text);
    await commit(0, "replaced");
    await commit(1, "by one");
    await commit(1, "and by the other");
    await pass(sql, 40 * dayMs);
    await remote.removeChange(name);
    for (let round = 0; round < 4; round++) {
      await pass(sql, 1.5 * dayMs);
      await collect();
    }
    await remote.undoOperation({ requestId: newRequestId(), number: 0 });
    expect((await holdings(sql, store)).stored.size).toBe(2);
    await expect(remote.getEntry(`${name}@1`, "file")).resolves.toMatchObject({ entry: {} });
  });

  test("what a version diverges from comes back with it, and is not let go of any more", async () => {
    const { sql, remote, contents, collect } = await openWorld();
    const name = newChangeName();
    await commitText({ remote, contents }, name, 0, "replaced");
    await commitText({ remote, contents }, name, 1, "by one");
    await pass(sql, 40 * dayMs);
    await collect();
    const marks = async () => [
      ...(await sql`
        select v.expired_at is not null as expired, t.condemned_at is not null as condemned
        from versions v join trees t on t.hash = v.tree order by v.number`),
    ];
    const kept = { expired: false, condemned: false };
    expect(await marks()).toEqual([{ expired: true, condemned: true }, kept]);
    await commitText({ remote, contents }, name, 1, "and by the other");
    expect(await marks()).toEqual([kept, kept, kept]);
  });

  test("what is pushed while it is decided what to condemn is condemned with what it names", async () => {
    const { sql, remote } = await openWorld();
    const [blob] = blobsOf(Buffer.from("unnamed"));
    await remote.putObjects([blob!]);
    const [row] = await sql<{ repositoryId: number }[]>`select repository_id from repositories`;
    const begun = async () => {
      const walk = (await beginWalk(sql, row!.repositoryId))!;
      const retentionMs = collectDefaults.retentionMs;
      await markAll(sql, walk, { retentionMs, strategy: "batches", met: () => {} });
      await listUnmet(sql, walk);
      return walk;
    };
    const ended = async (walk: Walk) => {
      const deleted = await transaction(sql, (tx) => condemn(tx, walk, dayMs));
      await endWalk(sql, walk);
      return deleted;
    };
    const condemned = async () => {
      const [counted] = await sql<{ trees: number; objects: number }[]>`
        select (select count(*) from trees where condemned_at is not null) as trees,
          (select count(*) from repository_objects where condemned_at is not null) as objects`;
      return { ...counted };
    };
    // Taken for dead, and what a crash of the database leaves.
    for (const table of ["walks", "walk_marks"]) {
      const walk = await begun();
      await sql`delete from ${sql(table)}`;
      expect(await ended(walk)).toBeUndefined();
      expect(await condemned()).toEqual({ trees: 0, objects: 0 });
    }

    const walk = await begun();
    const { hash } = blob!;
    const bytes = encodeTree([{ kind: "file", name: "file", executable: false, size: 7, hash }]);
    await remote.putTrees([{ hash: treeHash(bytes), bytes }]);
    expect(await ended(walk)).toEqual({ trees: 0, objects: 0 });
    expect(await condemned()).toEqual({ trees: 1, objects: 1 });
    // Whoever is told that it is held can go on with it.
    expect((await remote.findMissing([], [treeHash(bytes)])).trees).toEqual([]);
    expect(await condemned()).toEqual({ trees: 0, objects: 0 });
  });

  test("what is wanted while it is being condemned is kept with what it names", async () => {
    const world = await openWorld();
    const { sql, remote } = world;
    const [[old], [blob]] = [blobsOf(Buffer.from("old")), blobsOf(Buffer.from("unnamed"))];
    await remote.putObjects([old!]);
    await world.collect();
    await pass(sql, 2 * dayMs);
    const { hash } = blob!;
    const bytes = encodeTree([{ kind: "file", name: "file", executable: false, size: 7, hash }]);
    await remote.putObjects([blob!]);
    await remote.putTrees([{ hash: treeHash(bytes), bytes }]);
    await sql`update trees set condemned_at = now()`;
    await sql`update repository_objects set condemned_at = now() where condemned_at is null`;
    const waiting = async () => {
      const [row] = await sql<{ count: number }[]>`
        select count(*) as count from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return row!.count;
    };
    let collected: Promise<unknown> | undefined;
    let wanted: Promise<{ trees: number[] }> | undefined;
    let isAnswered = false;
    await transaction(sql, async (tx) => {
      // Trees are done with, and objects are not.
      await tx`select from repository_objects where hash = ${old!.hash} for update`;
      collected = world.collect();
      while ((await waiting()) < 1) await Bun.sleep(5);
      wanted = remote.findMissing([], [treeHash(bytes)]).finally(() => (isAnswered = true));
      while (!isAnswered && (await waiting()) < 2) await Bun.sleep(5);
    });
    await collected;
    expect((await wanted)?.trees).toEqual([]);
    const rows = await sql<{ condemnedAt: Date | null }[]>`
      select condemned_at from trees where hash = ${treeHash(bytes)}
      union all select condemned_at from repository_objects where hash = ${hash}`;
    expect(rows.map(({ condemnedAt }) => condemnedAt)).toEqual([null, null]);
  });

  test("who puts what is being deleted waits for that, and it is there in the end", async () => {
    const world = await openWorld();
    const { sql, store, remote } = world;
    const [blob] = blobsOf(Buffer.from("deleted and put"));
    await remote.putObjects([blob!]);
    await world.collect();
    await pass(sql, 2 * dayMs);
    await world.collect();
    await pass(sql, 2 * dayMs);
    const { promise: letGo, resolve } = Promise.withResolvers<void>();
    const { promise: isDeleting, resolve: begin } = Promise.withResolvers<void>();
    const slow: ObjectStore = {
      ...boundTo(store),
      async delete(hash) {
        begin();
        await letGo;
        await store.delete(hash);
      },
    };
    const collecting = world.collect({}, slow);
    await isDeleting;
    const putting = remote.putObjects([blob!]);
    // It stands before the database's lock: only then is there something to wait for.
    for (let isWaiting = false; !isWaiting;) {
      const rows = await sql`select 1 from pg_locks where not granted`;
      isWaiting = rows.length > 0;
    }
    resolve();
    expect((await collecting).freedObjects).toBe(1);
    await putting;
    const [got] = await Array.fromAsync(remote.getObjects([blob!.hash]));
    expect(Buffer.compare(got!.bytes, blob!.bytes)).toBe(0);
  });

  test("a damaged repository keeps everything, and is in nobody's way", async () => {
    const world = await openWorld();
    const { sql, remote, contents } = world;
    const push = startPush(contents, { root: contents.add({ "a/b": "kept", c: "kept, too" }) });
    while (!push.isDone()) await push.step(remote);
    const spare = blobsOf(Buffer.from("unnamed"));
    await world.remote.putObjects(spare);
    const sizeOf = async () => (await holdings(sql, world.store)).stored.size;
    await sql`delete from trees where file_count = 1`;
    for (let round = 0; round < 4; round++) {
      await pass(sql, 2 * dayMs);
      await expect(world.collect()).rejects.toMatchObject({ code: "corrupt" });
    }
    expect(await sizeOf()).toBe(3);
  });
});

/** A store's calls, to put another in the place of one. */
function boundTo(store: ObjectStore): ObjectStore {
  return {
    putAll: (objects) => store.putAll(objects),
    get: (hash) => store.get(hash),
    has: (hash) => store.has(hash),
    delete: (hash) => store.delete(hash),
    list: () => store.list(),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Commits a snapshot of one file as the version of a change after another. */
async function commitText(
  { remote, contents }: Pick<World, "remote" | "contents">,
  change: string,
  expectedVersion: number,
  text: string,
): Promise<void> {
  const root = contents.add({ file: text });
  const push = startPush(contents, { root });
  for (let step = 0; step < 3; step++) await push.step(remote);
  const request = { requestId: newRequestId(), change, expectedVersion, child: newChangeName() };
  await remote.commit({ ...request, tree: root, parents: [] });
}
