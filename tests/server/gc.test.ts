import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

import { newRequestId, type Remote } from "#client/remote.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey, type Hash } from "#core/hash.ts";
import { encodeTree } from "#core/tree.ts";
import { connect, type Sql } from "#server/db/connect.ts";
import {
  collect,
  collectDefaults,
  type Collected,
  type CollectOptions,
} from "#server/gc/collect.ts";
import { listUsage } from "#server/db/usage.ts";
import { openDiskStore } from "#server/store/disk.ts";
import { faultyStore } from "#server/store/faulty.ts";
import type { ObjectStore } from "#server/store/store.ts";
import { blobsOf, holdings, needed, pass } from "../support/gc-world.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName } from "../support/publish.ts";
import { seededRandom } from "../support/random.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

setDefaultTimeout(startMs);

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;
// The embedded database is its server's alone: nothing could be done to it from beside.
const isPostgres = engines[0] === "postgres";
const epochs = Number(Bun.env["POGO_TEST_EPOCHS"] ?? 40);

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

/** A push that stops for a while after each of its steps. */
function startPush({ remote, contents }: World, push: { root: Hash; change?: string }) {
  const trees = new Map<string, Hash>();
  const objects = new Map<string, Hash>();
  const gather = (root: Hash) => {
    for (const entry of contents.trees.get(hashKey(root))!) {
      if (entry.kind === "directory") gather(entry.hash);
      if (entry.kind === "file") objects.set(hashKey(entry.hash), entry.hash);
    }
    // Children come before parents.
    trees.set(hashKey(root), root);
  };
  gather(push.root);
  const blobs = [...objects.keys()].flatMap((key) => blobsOf(contents.files.get(key)!));
  let missing = { objects: [] as number[], trees: [] as number[] };
  const steps = [
    async () => {
      const asked = blobs.map(({ hash }) => hash);
      missing = await remote.findMissing(asked, [...trees.values()]);
    },
    async () => void (await remote.putObjects(missing.objects.map((index) => blobs[index]!))),
    async () => {
      const hashes = [...trees.values()];
      const sent = missing.trees.map((index) => hashes[index]!);
      await remote.putTrees(
        sent.map((hash) => ({ hash, bytes: encodeTree(contents.trees.get(hashKey(hash))!) })),
      );
    },
    async () => {
      const known = push.change && (await remote.getChange(push.change));
      await remote.commit({
        requestId: newRequestId(),
        change: known ? known.name : newChangeName(),
        expectedVersion: known ? known.version : 0,
        tree: push.root,
        parents: [],
        child: newChangeName(),
      });
    },
  ];
  return { step: async () => steps.shift()?.(), isDone: () => steps.length === 0, hours: 0 };
}

const noise = (size: number, seed: number) => {
  const { random } = seededRandom(seed);
  return Uint8Array.from({ length: size }, () => random() * 256);
};

const texts: (string | Uint8Array)[] = Array.from({ length: 12 }, (_, index) => `text ${index}\n`);

describe.skipIf(!isPostgres)("garbage collection", () => {
  test("random pushes, removals, undos and collections agree with a model", async () => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    const below = (count: number) => Math.floor(random() * count);
    const world = await openWorld();
    const { sql, store, remote, contents } = world;
    const files = [...texts, noise(5 * 1024 * 1024, 7)];
    let pushes: ReturnType<typeof startPush>[] = [];

    const snapshot = (): Snapshot =>
      Object.fromEntries(
        Array.from({ length: 1 + below(4) }, () => {
          const directory = ["", "a/", "a/b/", "c/"][below(4)]!;
          const file = files[random() < 0.03 ? 12 : below(12)]!;
          return [`${directory}file-${below(3)}`, file];
        }),
      );
    const names = async () =>
      (await sql<{ name: string }[]>`select name from changes where removed_at is null`).map(
        ({ name }) => name,
      );
    const refused = (error: unknown) => {
      // Undoing what others have built upon, for instance.
      if (!isPogoError(error) || error.code === "internal") throw error;
      // That what it was told is held is not: no push may ever hear so.
      if (error.message.includes("does not hold")) throw error;
    };
    async function check(): Promise<void> {
      const held = await holdings(sql, store);
      const model = await needed(sql, contents, collectDefaults.retentionMs);
      expect([...model.trees].filter((hash) => !held.trees.has(hash))).toEqual([]);
      expect([...model.objects].filter((hash) => !held.objects.has(hash))).toEqual([]);
      expect([...held.objects].filter((hash) => !held.stored.has(hash))).toEqual([]);
      const [counted] = await sql<{ objects: number; storedBytes: number }[]>`
        select count(*) as objects, coalesce(sum(stored_size), 0)::bigint as stored_bytes
        from repository_objects join objects using (hash)`;
      expect((await listUsage(sql))[0]).toMatchObject({ ...counted });
    }

    for (let epoch = 0; epoch < epochs; epoch++) {
      const action = below(10);
      if (action < 3) {
        const all = await names();
        const change = random() < 0.5 ? all[below(all.length)] : undefined;
        const root = contents.add(snapshot());
        pushes.push(startPush(world, { root, ...(change !== undefined && { change }) }));
      }
      const stepped = pushes.filter(() => random() < 0.6);
      pushes = pushes.filter((push) => !stepped.includes(push));
      const isBeside = random() < 0.5;
      const stepping = async () => {
        const going = stepped.filter((push) => push.hours < 23);
        await Promise.all(going.map((push) => push.step().catch(refused)));
      };
      if (!isBeside) await stepping();
      if (action === 4) {
        const all = await names();
        const name = all[below(all.length)];
        if (name !== undefined) await remote.removeChange(name).catch(refused);
      }
      if (action === 5) {
        await remote.undoOperation({ requestId: newRequestId(), number: 0 }).catch(refused);
      }
      const hours = action === 6 ? 1 + below(900) : below(12);
      await pass(sql, hours * hourMs);
      pushes.push(...stepped);
      // Whoever takes longer than the grace period starts anew.
      for (const push of pushes) push.hours += hours;
      pushes = pushes.filter((push) => !push.isDone() && push.hours < 23);
      if (random() < 0.5) {
        if (random() < 0.2) await store.putAll([straying(files[below(12)]!, epoch)]);
        const [inBatches, inMemory] = [{ memoryTreesMax: 0 }, { memoryTreesMax: Infinity }];
        if (random() < 0.3) {
          const dryRun = await world.collect({ dryRun: true, ...inBatches });
          expect(await world.collect({ dryRun: true, ...inMemory })).toEqual(dryRun);
        }
        const error = new PogoError("unavailable", "the store is gone");
        const broken = { method: "delete", call: 1 + below(8), kind: "short", error } as const;
        const through = random() < 0.2 ? faultyStore(store, [broken]) : store;
        const collected = [world.collect(random() < 0.5 ? inBatches : inMemory, through)];
        // Another server that does the same at the same time.
        if (random() < 0.2) collected.push(world.collect(inMemory));
        if (isBeside) await stepping();
        await Promise.all(collected).catch(refused);
        await Promise.allSettled(collected);
        await check();
      } else if (isBeside) {
        await stepping();
      }
    }
    const settle = async () => {
      for (let round = 0; round < 3; round++) {
        await pass(sql, 2 * dayMs);
        await world.collect();
      }
      return await holdings(sql, store);
    };
    const recent = await settle();
    // What could be gone back to until a moment ago is still on its way out.
    const still = await needed(sql, contents, collectDefaults.retentionMs + 6.5 * dayMs);
    expect([...recent.trees].filter((hash) => !still.trees.has(hash))).toEqual([]);
    expect([...recent.stored].filter((hash) => !still.objects.has(hash))).toEqual([]);
    await pass(sql, 31 * dayMs);
    const held = await settle();
    const model = await needed(sql, contents, collectDefaults.retentionMs);
    expect(held.trees).toEqual(model.trees);
    expect(held.objects).toEqual(model.objects);
    expect(held.stored).toEqual(model.objects);
  });

  test("what was overwritten can be gone back to for thirty days, and then it cannot", async () => {
    const world = await openWorld();
    const { sql, remote, contents } = world;
    const run = async (push: ReturnType<typeof startPush>) => {
      while (!push.isDone()) await push.step();
    };
    await run(startPush(world, { root: contents.add({ "a/b": "removed", c: "overwritten" }) }));
    const [change] = (await sql`select name from changes`) as unknown as [{ name: string }];
    const root = contents.add({ c: "what is left" });
    await run(startPush(world, { root, change: change.name }));
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
    const { sql, contents } = world;
    const push = startPush(world, { root: contents.add({ "a/b": "kept", c: "kept, too" }) });
    while (!push.isDone()) await push.step();
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

/** Bytes that a server put and did not live to write down. */
function straying(text: string | Uint8Array, number: number) {
  const [blob] = blobsOf(Buffer.from(`${String(text)}${number}`));
  return { hash: blob!.hash, encoded: blob!.bytes };
}
