/**
 * Pushes in steps, removals, undos, time that passes, and collections by both strategies and by
 * several at once; servers and collectors are killed in the midst of it. Beside it a model says
 * what must be there.
 *
 * POGO_TEST_EPOCHS says for how many epochs; POGO_TEST_SEED repeats a run, as far as what runs at
 * the same time lets it.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

import { newRequestId, openRemote, type Remote } from "#client/remote.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey, toHex, type Hash } from "#core/hash.ts";
import { dayMs } from "#core/limits.ts";
import { decodeObject, inspectObject } from "#core/object.ts";
import { decodeTree } from "#core/tree.ts";
import type { CommitResponse } from "#gen/pogo/v1/push.ts";
import { openChannel } from "#rpc/channel.ts";
import { connect, type Sql } from "#server/db/connect.ts";
import { namedHashes } from "#server/db/revive.ts";
import { listUsage } from "#server/db/usage.ts";
import { collect, collectDefaults, type CollectOptions } from "#server/gc/collect.ts";
import { openDiskStore } from "#server/store/disk.ts";
import { faultyStore } from "#server/store/faulty.ts";
import {
  blobsOf,
  holdings,
  learn,
  needed,
  pass,
  startPush,
  type SlowPush,
} from "../support/gc-world.ts";
import { createDatabase, engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing, type Serving } from "../support/serving.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

const hourMs = dayMs / 24;
// The embedded database is its server's alone: nothing could be done to it from beside.
const isPostgres = engines[0] === "postgres";
const epochs = Number(Bun.env["POGO_TEST_EPOCHS"] ?? 40);
setDefaultTimeout(startMs + epochs * 2000);

const { seed, random } = seededRandom();
const below = (count: number) => Math.floor(random() * count);
const counts = { pushes: 0, removals: 0, undos: 0, collections: 0, kills: 0, checks: 0 };
const files: (string | Uint8Array)[] = Array.from({ length: 12 }, (_, at) => `text ${at}\n`);
const large = Uint8Array.from({ length: 5 * 1024 * 1024 }, () => below(256));

type World = Awaited<ReturnType<typeof openWorld>>;

/** A server in a process of its own, and beside it what another would collect with. */
async function openWorld(closing: AsyncDisposableStack) {
  const { path: home } = closing.use(temporaryDirectory());
  const { url } = closing.use(await createDatabase({ isPrepared: true }));
  const data = join(home, "data");
  const sql = connect(named(url, "beside"));
  closing.defer(() => sql.end({ timeout: 1 }));
  const store = closing.use(await openDiskStore(join(data, "objects")));
  const world = {
    sql,
    store,
    contents: new MemoryStore(),
    remote: undefined as unknown as Remote,
    /** Trees of versions that the server said it has, by change and number. */
    acknowledged: new Map<string, string>(),
    async collect(options: Partial<CollectOptions> = {}, through = store) {
      const parts = { sql, store: through };
      const said = await Array.fromAsync(collect(parts, { ...collectDefaults, ...options }));
      return said.at(-1)!;
    },
    /** Kills the server, waits until the database has noticed, and starts another. */
    async restart() {
      await server?.stop("SIGKILL");
      await gone("pogo");
      server = await startServing({ home, data, databaseUrl: url });
      // A call on the one before may be about to try again.
      const channel = openChannel({ url: server.url, token: rootToken });
      closing.defer(() => channel.close());
      world.remote = openRemote(channel, "world");
    },
    /** Kills a collector at some moment of its work. */
    async killCollector(memoryTreesMax: number) {
      const program = join(import.meta.dir, "../support/collector-program.ts");
      const parts = [named(url, "collector"), join(data, "objects"), String(memoryTreesMax)];
      const child = Bun.spawn([process.execPath, program, ...parts], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await child.stdout.getReader().read();
      await Bun.sleep(random() * 60);
      child.kill("SIGKILL");
      await child.exited;
      // It may have been faster.
      expect([0, null]).toContain(child.exitCode);
      await gone("collector");
    },
  };
  let server: Serving | undefined;
  closing.defer(async () => void (await server?.stop()));
  async function gone(name: string): Promise<void> {
    for (let isThere = true; isThere;) {
      const rows = await sql`
        select 1 from pg_stat_activity
        where datname = current_database() and application_name = ${name}`;
      isThere = rows.length > 0;
    }
  }
  await world.restart();
  await world.remote.createRepository({ public: false, caseSensitive: false });
  return world;
}

function named(url: string, name: string): string {
  const target = new URL(url);
  target.searchParams.set("application_name", name);
  return target.href;
}

function randomSnapshot(): Snapshot {
  return Object.fromEntries(
    Array.from({ length: 1 + below(4) }, () => {
      const directory = ["", "a/", "a/b/", "c/"][below(4)]!;
      return [`${directory}file-${below(3)}`, random() < 0.03 ? large : files[below(12)]!];
    }),
  );
}

async function randomPush({ sql, contents, acknowledged }: World): Promise<SlowPush> {
  const visible = await sql<{ name: string; number: number }[]>`
    select c.name, v.number from changes c join versions v using (repository_id, version_id)
    where removed_at is null order by c.change_id`;
  const root = contents.add(randomSnapshot());
  const other = visible[below(visible.length)];
  const isVersion = other !== undefined && random() < 0.5;
  const empty = { description: "", prefix: "" };
  const parents =
    other && random() < 0.3 ? [{ ...empty, change: other.name, version: other.number }] : [];
  counts.pushes++;
  const committed = ({ change }: CommitResponse) => {
    acknowledged.set(`${change!.name}@${change!.version}`, toHex(change!.tree));
  };
  const place = isVersion ? { change: other.name } : { parents };
  return startPush(contents, { root, ...place }, committed);
}

function refused(error: unknown): void {
  // Undoing what others have built upon, for instance.
  if (!isPogoError(error) || error.code === "internal") throw error;
  // That what it was told is held is not: no push may ever hear so.
  if (error.message.includes("does not hold")) throw error;
}

/** Goes on with a push; one that hears nothing any more begins again, or gives up. */
async function step(push: SlowPush, remote: Remote): Promise<void> {
  try {
    await push.step(remote);
  } catch (error) {
    refused(error);
    if (isPogoError(error, "unavailable")) push.restart();
  }
}

async function check({ sql, store, contents, acknowledged }: World): Promise<void> {
  counts.checks++;
  await learn(contents, sql, store);
  const held = await holdings(sql, store);
  const model = await needed(sql, contents, collectDefaults.retentionMs);
  expect([...model.trees].filter((hash) => !held.trees.has(hash))).toEqual([]);
  expect([...model.objects].filter((hash) => !held.objects.has(hash))).toEqual([]);
  expect([...held.objects].filter((hash) => !held.stored.has(hash))).toEqual([]);
  expect(await unsafe(sql)).toEqual([]);
  const versions = await sql<{ name: string; tree: Uint8Array }[]>`
    select c.name || '@' || v.number as name, v.tree
    from versions v join changes c using (repository_id, change_id)`;
  const recorded = new Map(versions.map(({ name, tree }) => [name, toHex(tree)]));
  for (const [name, tree] of acknowledged) expect([name, recorded.get(name)]).toEqual([name, tree]);
  const [counted] = await sql<{ objects: number; storedBytes: number }[]>`
    select count(*) as objects, coalesce(sum(stored_size), 0)::bigint as stored_bytes
    from repository_objects join objects using (hash)`;
  expect((await listUsage(sql))[0]).toMatchObject({ ...counted });
}

/** What is condemned although a tree names it that is not: nobody would revive it. */
async function unsafe(sql: Sql): Promise<string[]> {
  const condemned = new Set(
    (
      await sql<{ hash: Hash }[]>`
        select hash from trees where condemned_at is not null
        union select hash from repository_objects where condemned_at is not null`
    ).map(({ hash }) => toHex(hash)),
  );
  const trees = await sql<{ data: Uint8Array }[]>`
    select data from trees where condemned_at is null`;
  return trees
    .map(({ data }) => namedHashes(decodeTree(data)))
    .flatMap((named) => [...named.trees, ...named.objects].map(toHex))
    .filter((hash) => condemned.has(hash));
}

/** Bytes that a server put and did not live to write down. */
function straying(number: number) {
  const [blob] = blobsOf(Buffer.from(`${String(files[below(12)])}${number}`));
  return { hash: blob!.hash, encoded: blob!.bytes };
}

const inBatches = { memoryTreesMax: 0 };
const inMemory = { memoryTreesMax: Infinity };

/** Collects in one of the ways that there are, perhaps while something else is done. */
async function collectSomehow(world: World, beside: () => Promise<unknown>): Promise<void> {
  counts.collections++;
  if (random() < 0.3) {
    const dryRun = await world.collect({ dryRun: true, ...inBatches });
    expect(await world.collect({ dryRun: true, ...inMemory })).toEqual(dryRun);
  }
  const error = new PogoError("unavailable", "the store is gone");
  const broken = { method: "delete", call: 1 + below(8), kind: "short", error } as const;
  const through = random() < 0.2 ? faultyStore(world.store, [broken]) : world.store;
  const strategy = random() < 0.5 ? inBatches : inMemory;
  const collected: Promise<unknown>[] = [world.collect(strategy, through)];
  // Another server that does the same at the same time.
  if (random() < 0.2) collected.push(world.collect(inMemory));
  if (random() < 0.15) {
    counts.kills++;
    collected.push(world.killCollector(random() < 0.5 ? 0 : Infinity));
  }
  const ended = Promise.all(collected);
  // Told when it is its turn.
  ended.catch(() => {});
  await beside();
  await ended.catch(refused);
  await Promise.allSettled(collected);
}

async function settle({ sql, store, ...world }: World) {
  for (let round = 0; round < 3; round++) {
    await pass(sql, 2 * dayMs);
    await world.collect();
  }
  return await holdings(sql, store);
}

/** Reads all that is visible, from the server and byte by byte. */
async function readAll({ remote, contents }: World): Promise<void> {
  const wanted = new Map<string, Uint8Array>();
  const query = { revisions: [], paths: [], limit: 100_000 };
  for (const { tree } of await Array.fromAsync(remote.listChanges(query))) {
    for await (const { hash } of remote.getTrees(tree, undefined)) {
      for (const entry of contents.trees.get(hashKey(hash))!) {
        if (entry.kind === "file") wanted.set(hashKey(entry.hash), entry.hash);
      }
    }
  }
  for await (const { hash, bytes } of remote.getObjects([...wanted.values()])) {
    // A chunk list is no contents, and which chunks it names is known.
    if (inspectObject(bytes).codec !== "chunks") decodeObject(hash, bytes);
  }
}

describe.skipIf(!isPostgres)("garbage collection", () => {
  test("random pushes, removals, undos, kills and collections agree with a model", async () => {
    console.log(`seed ${seed}`);
    await using closing = new AsyncDisposableStack();
    const world = await openWorld(closing);
    const { sql, store, contents } = world;
    let pushes: SlowPush[] = [];
    for (let epoch = 0; epoch < epochs; epoch++) {
      const action = below(10);
      if (action < 3) pushes.push(await randomPush(world));
      const stepped = pushes.filter(() => random() < 0.6);
      const changing = async () => {
        const { remote } = world;
        // Whoever takes longer than the grace period starts anew.
        for (const push of stepped) if (push.hours >= 23) push.restart();
        const doing = stepped.map((push) => step(push, remote));
        if (action === 4) {
          counts.removals++;
          const rows = await sql<{ name: string }[]>`
            select name from changes where removed_at is null order by change_id`;
          const row = rows[below(rows.length)];
          if (row) doing.push(remote.removeChange(row.name).then(() => {}, refused));
        }
        if (action === 5) {
          counts.undos++;
          const request = { requestId: newRequestId(), number: 0 };
          doing.push(remote.undoOperation(request).then(() => {}, refused));
        }
        const isKilled = random() < 0.06;
        if (isKilled) {
          counts.kills++;
          await Bun.sleep(random() * 30);
          await world.restart();
        }
        await Promise.all(doing);
      };
      const isBeside = random() < 0.5;
      if (!isBeside) await changing();
      const hours = action === 6 ? 1 + below(900) : below(12);
      await pass(sql, hours * hourMs);
      for (const push of pushes) push.hours += hours;
      if (random() < 0.5) {
        if (random() < 0.2) await store.putAll([straying(epoch)]);
        await collectSomehow(world, isBeside ? changing : async () => {});
        await check(world);
      } else if (isBeside) {
        await changing();
      }
      // Some are given up on the way.
      pushes = pushes.filter((push) => !push.isDone() && (push.hours < 23 || random() < 0.5));
    }
    const recent = await settle(world);
    // What could be gone back to until a moment ago is still on its way out.
    const still = await needed(sql, contents, collectDefaults.retentionMs + 6.5 * dayMs);
    expect([...recent.trees].filter((hash) => !still.trees.has(hash))).toEqual([]);
    expect([...recent.stored].filter((hash) => !still.objects.has(hash))).toEqual([]);
    await pass(sql, 31 * dayMs);
    const held = await settle(world);
    const model = await needed(sql, contents, collectDefaults.retentionMs);
    expect(held.trees).toEqual(model.trees);
    expect(held.objects).toEqual(model.objects);
    expect(held.stored).toEqual(model.objects);
    await readAll(world);
    console.log(`${epochs} epochs: ${JSON.stringify(counts)}; equal`);
  });
});
