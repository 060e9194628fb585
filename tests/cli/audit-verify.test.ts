/** An audit log that is kept for a while, and one that somebody with the database has altered. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { dayMs } from "#core/limits.ts";
import { connect, type Sql } from "#server/db/connect.ts";
import { pruneAudit } from "#server/db/audit.ts";
import { openPogo, type Pogo } from "../support/pogo.ts";
import { engines, startMs } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

const isPostgres = engines.includes("postgres");
let server: TestServer;
let sql: Sql;
let root: Pogo;
let people = 0;
beforeAll(async () => {
  if (!isPostgres) return;
  server = await startTestServer("postgres");
  sql = connect(server.databaseUrl!);
  root = openPogo({ POGO_SERVER: server.server.url, POGO_TOKEN: testRootToken });
});
afterAll(async () => {
  root?.[Symbol.dispose]();
  await sql?.end();
  await server?.[Symbol.asyncDispose]();
});

/** Has somebody do so many things, one an event. */
async function happen(count: number): Promise<void> {
  for (let done = 0; done < count; done++) await root.ok(["user", "create", `ann-${++people}`]);
}

const verified = () => root.json(["admin", "audit", "--verify"]);

/** Alters rows as only the owner of the tables can, looks, and puts them back. */
async function tampered(statement: (tx: Sql) => Promise<unknown>): Promise<string> {
  const tables = ["audit_events", "audit_head"];
  for (const table of tables)
    await sql`create table ${sql(`${table}_kept`)} as table ${sql(table)}`;
  await sql`alter table audit_events disable trigger audit_events_append_only`;
  await statement(sql);
  const { exitCode, stderr } = await root.run(["admin", "audit", "--verify"]);
  for (const table of tables) {
    await sql`delete from ${sql(table)}`;
    await sql`insert into ${sql(table)} table ${sql(`${table}_kept`)}`;
    await sql`drop table ${sql(`${table}_kept`)}`;
  }
  await sql`alter table audit_events enable trigger audit_events_append_only`;
  expect(exitCode).toBe(8);
  return stderr;
}

test.if(isPostgres)("an event that was altered, taken out or put elsewhere is named", async () => {
  await happen(5);
  expect(await verified()).toMatchObject({ events: 5, from: 1, to: 5 });
  const altered = await tampered((tx) => {
    return tx`update audit_events set user_name = 'bob' where number = 3`;
  });
  expect(altered).toContain("event 3 (UserService/CreateUser by bob, ");
  expect(altered).toContain("does not match its hash");
  expect(await tampered((tx) => tx`delete from audit_events where number = 2`)).toContain(
    "event 2 is missing",
  );
  expect(await tampered((tx) => tx`delete from audit_events where number = 1`)).toContain(
    "event 1 is missing",
  );
  const swapped = await tampered(async (tx) => {
    await tx`update audit_events set number = -number where number in (3, 4)`;
    await tx`update audit_events set number = 7 + number where number < 0`;
  });
  expect(swapped).toContain("event 3 (");
  const cut = await tampered(async (tx) => {
    await tx`delete from audit_events where number = 5`;
    await tx`update audit_head set number = 4,
      hash = (select hash from audit_events where number = 4)`;
  });
  expect(cut).toContain("event 5, which was verified here before, is not there any more");
  const old = await tampered((tx) => tx`update audit_head set start_number = 2`);
  expect(old).toContain("event 3 (");
  expect(await verified()).toMatchObject({ events: 5 });
});

test.if(isPostgres)(
  "the database itself refuses to alter an event, or delete a kept one",
  async () => {
    await happen(1);
    for (const statement of [
      "update audit_events set allowed = false",
      "delete from audit_events",
    ]) {
      const failure = await sql.unsafe(statement).catch((error: unknown) => error);
      expect(String(failure)).toContain("only ever appended");
    }
  },
);

test.if(isPostgres)("what is too old goes, and what is left can be verified", async () => {
  await happen(3);
  const { to } = (await verified()) as { to: number };
  await sql`alter table audit_events disable trigger audit_events_append_only`;
  await sql`
    update audit_events set created_at = created_at - interval '400 days' where number < ${to}`;
  await sql`alter table audit_events enable trigger audit_events_append_only`;
  expect(await pruneAudit(sql, 399 * dayMs)).toBe(to - 1);
  expect(await pruneAudit(sql, 399 * dayMs)).toBe(0);
  expect(await verified()).toMatchObject({ events: 2, from: to, to: to + 1 });
  expect(await root.ok(["admin", "audit", "--verify"])).toBe(
    `2 events, all as they were written; older ones, up to ${to - 1}, are not kept\n`,
  );
  const [newest] = (await root.json(["admin", "audit"])) as object[];
  expect(newest).toMatchObject({ action: "retention", details: { to: to - 1 } });
  expect(await pruneAudit(sql, 0)).toBe(2);
  expect(await verified()).toMatchObject({ events: 1 });
});
