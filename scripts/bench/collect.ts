/**
 * Collects garbage in repositories of a million files and of ten, in batches, and prints the time
 * and the peak memory of the process that does. The rows are made by SQL, in a real PostgreSQL, and
 * one object in a hundred is named by nothing; the store only says what it holds, and counts what
 * is deleted.
 *
 *   bun scripts/bench/collect.ts [FILES…]
 */
import { join } from "node:path";

import type { Hash } from "#core/hash.ts";
import { connect, transaction, type Sql } from "#server/db/connect.ts";
import { migrate } from "#server/db/migrate.ts";
import { lockHoldings } from "#server/db/revive.ts";
import { collect, collectDefaults, type Collected } from "#server/gc/collect.ts";
import type { ObjectStore } from "#server/store/store.ts";
import { startPostgres } from "../postgres.ts";
import { run } from "./measure.ts";

const perDirectory = 100;
const perUnnamed = 100;
const collecting = "--collect";

const words = process.argv.slice(2);
if (words[0] === collecting) await collectOnce(words[1]!, Number(words[2]));
else await measureAll(words.length > 0 ? words.map(Number) : [1e6, 3e6, 10e6]);

async function measureAll(counts: number[]): Promise<void> {
  await using postgres = await startPostgres();
  for (const files of counts) {
    const url = await postgres.createDatabase(`collect_${files}`);
    const sql = connect(url);
    await fill(sql, files);
    const command = [process.execPath, import.meta.path, collecting, url, String(files)];
    const waits = measureWaits(url);
    const { seconds, memoryBytes } = await run(command, { cwd: join(import.meta.dir, "../..") });
    const waitedMs = await waits.end();
    const [left] = await sql<{ count: number }[]>`select count(*) from objects`;
    if (Number(left?.count) !== files) throw new Error(`${left?.count} objects are left`);
    const memory = Math.round(memoryBytes / 2 ** 20);
    const wait = `a push waited ${waitedMs.toFixed(0)} ms at the most`;
    console.log(`${files} files: ${seconds.toFixed(0)} s, ${memory} MiB at the most; ${wait}`);
    // The next one is large.
    await sql`truncate objects, repository_objects, trees cascade`;
    await sql.end();
  }
}

/** Does again and again what a push waits for, and says how long that took at the most. */
function measureWaits(url: string): { end(): Promise<number> } {
  const sql = connect(url);
  let isOver = false;
  let longestMs = 0;
  const measuring = (async () => {
    while (!isOver) {
      const startedMs = performance.now();
      await transaction(sql, (tx) => lockHoldings(tx, 1, "add"));
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      await Bun.sleep(5);
    }
  })();
  return {
    async end() {
      isOver = true;
      await measuring;
      await sql.end();
      return longestMs;
    },
  };
}

/** Runs in a process of its own: its peak is that of collecting. */
async function collectOnce(url: string, files: number): Promise<void> {
  const sql = connect(url);
  const garbage = files / perUnnamed;
  let deleted = 0;
  const refuse = () => Promise.reject(new Error("only deleted from and listed"));
  const store: ObjectStore = {
    putAll: refuse,
    get: refuse,
    has: refuse,
    delete: async () => void deleted++,
    async *list() {
      for (let number = 0; number < files + garbage; number++) yield hashOf(number);
    },
    [Symbol.asyncDispose]: async () => {},
  };
  // What was condemned the day before goes at once, and nothing else is old enough to.
  const options = { ...collectDefaults, memoryTreesMax: 0, graceMs: 0 };
  let done: Collected | undefined;
  for await (const so of collect({ sql, store }, options)) done = so;
  await sql.end();
  if (deleted === garbage && done?.deletedObjects === garbage && done.strays === 0) return;
  throw new Error(`${deleted} objects were deleted, and not ${garbage}: ${JSON.stringify(done)}`);
}

/** As `hash_of` in the database. */
function hashOf(number: number): Hash {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(number));
  return new Uint8Array(Bun.SHA256.hash(bytes) as Uint8Array);
}

/** One version of so many files, by a hundred in a directory, and what nothing names. */
async function fill(sql: Sql, files: number): Promise<void> {
  const objects = files + files / perUnnamed;
  await migrate(sql);
  await sql.unsafe(`
    create function hash_of(number bigint) returns bytea immutable language sql
      as $$ select sha256(int8send(number)) $$;
    create function tree_hash(data bytea) returns bytea immutable language sql
      as $$ select sha256('pogo tree 1'::bytea || '\\x00'::bytea || data) $$;
    create function named(tag integer, number bigint) returns bytea immutable language sql
      as $$ select set_byte('\\x00', 0, tag) || '\\x08' || lpad(number::text, 8, '0')::bytea $$;
    create unlogged table directories (level integer, number bigint, hash bytea, data bytea);
    insert into users (name) values ('bench');
    insert into repositories (name, public, case_sensitive) values ('bench', false, true);
    alter table repository_objects disable trigger user;
    insert into objects (hash, raw_size, stored_size)
      select hash_of(n), 10, 34 from generate_series(0, ${objects} - 1) n
      order by 1;
    insert into repository_objects (repository_id, hash, condemned_at)
      select 1, hash_of(n), case when n >= ${files} then now() - interval '2 days' end
      from generate_series(0, ${objects} - 1) n
      order by 2;
    alter table repository_objects enable trigger user;
    insert into repository_usage values (1, ${objects}, ${objects * 10}, ${objects * 34});
    insert into directories
      select 0, number, tree_hash(data), data from (
        select n / ${perDirectory} as number,
          string_agg(named(1, n) || '\\x0a' || hash_of(n), '' order by n) as data
        from generate_series(0, ${files} - 1) n group by 1) leaves;`);
  let level = 0;
  for (let count = files / perDirectory; count > 1; count = Math.ceil(count / perDirectory)) {
    await sql.unsafe(`
      insert into directories
        select ${level + 1}, number, tree_hash(data), data from (
          select number / ${perDirectory} as number,
            string_agg(named(4, number) || hash, '' order by number) as data
          from directories where level = ${level} group by 1) above`);
    level++;
  }
  await sql.unsafe(`
    insert into trees (repository_id, hash, data, file_count, byte_count, conflicted)
      select 1, hash, data, 0, 0, false from directories;
    insert into changes (repository_id, name, author_id) values (1, 'kkkkkkkkkkkkkkkk', 1);
    insert into versions
      (repository_id, change_id, number, tree, description, author_id, generation)
      select 1, 1, 1, hash, '', 1, 0 from directories where level = ${level};
    update changes set version_id = 1;
    drop table directories;
    analyze;`);
}
