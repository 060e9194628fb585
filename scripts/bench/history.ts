/**
 * Times questions about a long history: commands as whole processes, and merge bases in the server.
 * The rows are made by SQL, in a real PostgreSQL: 50,000 changes, one in 25 of them a merge.
 *
 *   bun scripts/bench/history.ts [--changes 50000] [--merge-every 25] [--runs 20]
 */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { connect, type Sql } from "#server/db/connect.ts";
import { openVersionGraph } from "#server/services/merge/merge-bases.ts";
import { startPostgres } from "../postgres.ts";
import { median, run } from "./measure.ts";
import { pogo, remove } from "./systems.ts";

const { values } = parseArgs({
  options: {
    changes: { type: "string", default: "50000" },
    "merge-every": { type: "string", default: "25" },
    runs: { type: "string", default: "20" },
  },
});
const changeCount = Number(values.changes);
const runCount = Number(values.runs);
const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/pogo");
const mergeEvery = Number(values["merge-every"]);
// How far below the two heads of a merge their base is.
const branchLength = 10;

await run([process.execPath, "scripts/build.ts"], { cwd: root });
const scratch = mkdtempSync(join(tmpdir(), "pogo-bench-"));
await using postgres = await startPostgres({ durable: true });
const url = await postgres.createDatabase("history");
const system = await pogo(join(scratch, "pogo"), binary, url);
const sql = connect(url);
try {
  const seed = join(scratch, "seed");
  mkdirSync(seed);
  await Bun.write(join(seed, "file"), "contents\n");
  await system.publish(seed);
  await fill(sql);
  const work = join(scratch, "work");
  await system.clone(work);
  const commands: string[][] = [["log", "-n", "20"], ["log", "-n", "20", "--all"], ["info"]];
  const [{ name }] = (await sql`select name from changes order by name limit 1 offset 777`) as [
    { name: string },
  ];
  commands.push(["show", name.slice(0, 8)]);
  for (const words of commands) await time(words, work);
  await timeBases();
} finally {
  await sql.end();
  await system.close();
  remove(scratch);
}

/** Adds changes on top of the one that is there; heads of branches are merged again soon. */
async function fill(sql: Sql): Promise<void> {
  const last = changeCount;
  const nameOf = sql`translate(left(md5(i::text), 16), '0123456789abcdef', 'klmnopqrstuvwxyz')`;
  await sql.begin(async (tx) => {
    await tx`
      insert into changes (repository_id, name, author_id, generation)
      select 1, ${nameOf}, 1, i from generate_series(2, ${last}::int) i`;
    await tx`
      insert into versions (repository_id, change_id, number, tree, description, author_id,
        generation, base_version_id)
      select 1, c.change_id, 1, v.tree, 'change ' || c.generation, 1, c.generation, null
      from changes c cross join (select tree from versions limit 1) v
      where c.generation > 1 order by c.generation`;
    await tx`
      update changes c set version_id = v.version_id
      from versions v where v.change_id = c.change_id and c.generation > 1`;
    await tx`
      insert into version_parents (repository_id, version_id, ordinal, parent_change_id,
        parent_version_id)
      select 1, c.version_id, 1, p.change_id, p.version_id
      from changes c join changes p on p.generation = c.generation - 1
      where c.generation > 1`;
    await tx`
      insert into version_parents (repository_id, version_id, ordinal, parent_change_id,
        parent_version_id)
      select 1, c.version_id, 2, p.change_id, p.version_id
      from changes c join changes p on p.generation = c.generation - ${branchLength}::int
      where c.generation > ${branchLength}::int and c.generation % ${mergeEvery}::int = 0`;
    await tx`update bookmarks set change_id = (select change_id from changes
      order by generation desc limit 1)`;
  });
  // As the database does by itself after a while.
  await sql`analyze`;
}

async function time(words: string[], work: string): Promise<void> {
  await system.run(work, words);
  const times: number[] = [];
  for (let index = 0; index < runCount; index++) {
    times.push((await system.run(work, words)).seconds);
  }
  console.log(`pogo ${words.join(" ")}: ${(median(times) * 1000).toFixed(0)} ms`);
}

/** Of the newest change and ones farther and farther from it, read anew and known already. */
async function timeBases(): Promise<void> {
  const own = connect(url);
  const versions = await own<{ versionId: number }[]>`
    select version_id from versions order by version_id desc`;
  const head = versions[0]!.versionId;
  for (const distance of [branchLength, 100, 1000, Math.min(10_000, versions.length - 1)]) {
    const other = versions[distance]!.versionId;
    const times: number[][] = [[], []];
    for (let run = 0; run < 5; run++) {
      // Connections of its own have read nothing yet.
      const sql = connect(url);
      await Promise.all([sql`select 1`, sql`select 1`]);
      for (const asked of times) {
        const started = performance.now();
        await openVersionGraph(sql, 1).basesOf(head, [other]);
        asked.push(performance.now() - started);
      }
      await sql.end();
    }
    const [anew, again] = times.map((asked) => `${median(asked).toFixed(1)} ms`);
    console.log(`base with a change ${distance} back: ${anew}, again ${again}`);
  }
  await own.end();
}
