import { expect, setDefaultTimeout, test } from "bun:test";

import { claimUpkeep } from "#server/db/upkeep.ts";
import { migrate } from "#server/db/migrate.ts";
import { openUpkeep } from "#server/gc/daily.ts";
import { memoryStore } from "#server/store/memory.ts";
import type { ObjectStore } from "#server/store/store.ts";
import { engines, openTestDatabase, startMs } from "../support/postgres.ts";
import { objectOf } from "../suites/store.ts";

setDefaultTimeout(startMs);

type End = Parameters<Parameters<typeof openUpkeep>[1]>[0];

test("every day a server collects and scrubs, and of several one does; failures are told", async () => {
  await using database = await openTestDatabase(engines[0]!);
  const { sql } = database;
  await migrate(sql);
  const store = memoryStore();
  const run = async (through: ObjectStore) => {
    const ends: End[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const observe = (end: End) => {
      ends.push(end);
      if (end.what === "scrub") resolve();
    };
    await using _ = openUpkeep({ sql, store: through }, observe, { firstLookMs: 1 });
    await promise;
    return ends.map(({ what, error }) => [what, error instanceof Error ? error.message : "ok"]);
  };
  await store.putAll([objectOf("stray")]);
  expect(await run(store)).toEqual([
    ["audit", "ok"],
    ["collect", "ok"],
    ["scrub", "ok"],
  ]);
  expect((await sql`select 1 from objects where doomed_at is not null`).length).toBe(1);

  // Obliterating it was interrupted, or another server has put it since.
  const obliterated = objectOf("stray");
  await sql`insert into obliterated_objects (hash, raw_size, reason, user_name)
    values (${obliterated.hash}, 5, 'leaked', 'root')`;
  await sql`update upkeep set done_at = done_at - interval '25 hours'`;
  const broken: ObjectStore = {
    ...store,
    async *list() {
      throw new Error("the store is gone");
    },
  };
  expect(await run(broken)).toEqual([
    ["audit", "ok"],
    ["collect", "the store is gone"],
    ["scrub", "ok"],
  ]);

  expect(await store.has(obliterated.hash)).toBe(false);

  // Another server has done it.
  expect(await claimUpkeep(sql, "collect", 24 * 60 * 60 * 1000)).toBe(false);
});
