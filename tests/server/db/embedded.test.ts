import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openEmbedded, type Embedded } from "#server/db/embedded.ts";
import postgres from "postgres";

// Without a prepared data directory, a first start is seconds of initdb.
const startMs = 60_000;
const scratch = await mkdtemp(join(tmpdir(), "pogo-embedded-"));
let embedded: Embedded;
beforeAll(async () => {
  embedded = await openEmbedded(join(scratch, "open", "postgres"));
}, startMs);
afterAll(async () => {
  await embedded[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

const directory = join(scratch, "data", "postgres");
const program = join(import.meta.dir, "../../support/embedded-program.ts");

test(
  "a database outlives its process, and is nobody else's while one holds it",
  async () => {
    {
      await using embedded = await openEmbedded(directory);
      const sql = postgres(embedded.options);
      await sql`create table kept (word text)`;
      await sql`insert into kept values ('here')`;
      expect(openEmbedded(directory)).rejects.toMatchObject({
        code: "unavailable",
        message: `data directory ${directory} is in use by another server`,
      });
      await using other = Bun.spawn([process.execPath, program, directory], { stderr: "pipe" });
      expect(await other.stderr.text()).toContain("is in use by another server");
      await sql.end();
    }
    await using embedded = await openEmbedded(directory);
    const sql = postgres(embedded.options);
    expect(await sql`select word from kept`).toMatchObject([{ word: "here" }]);
    await sql.end();
  },
  startMs,
);

test(
  "it syncs what it acknowledges",
  async () => {
    const sql = postgres(embedded.options);
    const settings = await sql`
      select name, setting from pg_settings
      where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_sync_method')
      order by name`;
    expect(settings.map(({ name, setting }) => `${name}=${setting}`)).toEqual([
      "fsync=on",
      "full_page_writes=on",
      "synchronous_commit=on",
      "wal_sync_method=fsync",
    ]);
    await sql.end();
  },
  startMs,
);

test(
  "queries, failures and transactions at once are not mixed up",
  async () => {
    const sql = postgres(embedded.options);
    await sql`create table counted (number int primary key)`;
    const ask = async (index: number) => {
      if (index % 7 === 0) {
        const error: unknown = await sql`select 1 / ${0}::int`.catch((refusal: unknown) => refusal);
        return error instanceof postgres.PostgresError && error.code === "22012";
      }
      if (index % 5 === 0) {
        const whole = sql.begin(async (tx) => {
          await tx`insert into counted values (${index})`;
          if (index % 2) throw new Error("undo");
          await tx`insert into counted values (${index + 100_000})`;
        });
        return await whole.then(() => index % 2 === 0).catch(() => index % 2 === 1);
      }
      const text = "x".repeat(index * 100);
      const [row] = await sql`select ${index}::int as number, ${text} as text`;
      return row?.["number"] === index && row["text"] === text;
    };
    const answers = await Promise.all(Array.from({ length: 500 }, (_, index) => ask(index)));
    expect(answers).not.toContain(false);
    const [row] = await sql`select count(*)::int as count from counted`;
    const kept = Array.from({ length: 500 }, (_, i) => i).filter((i) => i % 10 === 0 && i % 7);
    expect(row).toEqual({ count: kept.length * 2 });
    await sql.end();
  },
  startMs,
);

test(
  "a driver that connects again finds a new session",
  async () => {
    const first = postgres(embedded.options);
    await first`set search_path = elsewhere`;
    await first`begin`.simple().catch(() => {});
    await first.end();
    const second = postgres(embedded.options);
    expect(await second`show search_path`).toMatchObject([{ search_path: "public" }]);
    await second.end();
  },
  startMs,
);

test(
  "what was acknowledged survives SIGKILL, the first start included",
  async () => {
    const killed = join(scratch, "killed", "postgres");
    await mkdir(join(scratch, "killed"));
    {
      await using child = Bun.spawn([process.execPath, program, killed], { stdout: "pipe" });
      while (!existsSync(`${killed}.new`) && !existsSync(killed)) await Bun.sleep(1);
      child.kill("SIGKILL");
    }
    let acknowledged = -1;
    for (let round = 0; round < 2; round++) {
      await using child = Bun.spawn([process.execPath, program, killed], { stdout: "pipe" });
      let text = "";
      for await (const bytes of child.stdout) {
        text += new TextDecoder().decode(bytes);
        if (text.split("\n").length > 100) child.kill("SIGKILL");
      }
      const [first = "", ...others] = text.split("\n").slice(0, -1);
      expect(Number(first)).toBeGreaterThan(acknowledged);
      acknowledged = Number(others.at(-1));
    }
    await using embedded = await openEmbedded(killed);
    const sql = postgres(embedded.options);
    const [row] = await sql`select count(*)::int as count, max(number) as max from numbers`;
    expect(row?.["max"]).toBe(row?.["count"] - 1);
    expect(row?.["max"]).toBeGreaterThanOrEqual(acknowledged);
    await sql.end();
  },
  startMs * 2,
);
