/** A log that somebody with the database in his hands has altered. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { connect, type Sql } from "#server/db/connect.ts";
import { engines, startMs } from "../support/postgres.ts";
import { openScene, type Copy, type Scene } from "../support/scene.ts";

setDefaultTimeout(startMs);

const isPostgres = engines.includes("postgres");
let scene: Scene;
let sql: Sql;
beforeAll(async () => {
  if (!isPostgres) return;
  scene = await openScene("postgres");
  sql = connect(scene.server.databaseUrl!);
});
afterAll(async () => {
  await sql?.end();
  await scene?.[Symbol.asyncDispose]();
});

let people = 0;
async function logged(): Promise<Copy> {
  const ann = await scene.person(`ann-${++people}`);
  const copy = await ann.init({ a: "one" });
  await copy.publish("first");
  await copy.ok("describe", "-m", "second");
  await copy.ok("bookmark", "set", "main");
  return copy;
}

/** Alters rows as only the owner of the tables can. */
async function tamper(copy: Copy, statement: (repositoryId: number) => Promise<unknown>) {
  const [row] = await sql<{ repositoryId: number }[]>`
    select repository_id from repositories where name = ${copy.repository}`;
  await sql`alter table operations disable trigger operations_append_only`;
  await statement(row!.repositoryId);
  await sql`alter table operations enable trigger operations_append_only`;
}

test.if(isPostgres)("the database itself refuses to alter an operation", async () => {
  await logged();
  const failure = await sql`update operations set user_name = 'bob'`.catch((error) => error);
  expect(String(failure)).toContain("only ever appended");
  const refused = await sql`delete from operations`.catch((error) => error);
  expect(String(refused)).toContain("only ever appended");
});

test.if(isPostgres)("an altered row is named", async () => {
  const copy = await logged();
  expect(await copy.json("op", "verify")).toMatchObject({ operations: 4 });
  await tamper(copy, (id) => {
    return sql`update operations set user_name = 'bob' where repository_id = ${id} and number = 3`;
  });
  const failure = await copy.fails("op", "verify");
  expect(failure).toMatchObject({ code: "corrupt", exitCode: 8 });
  expect(failure.message).toContain("operation 3 (describe by bob, ");
  expect(failure.message).toContain("does not match its hash");
});

test.if(isPostgres)("a row that was taken out is named, and an end that was cut off", async () => {
  const copy = await logged();
  await tamper(copy, (id) => {
    return sql`delete from operations where repository_id = ${id} and number = 2`;
  });
  expect((await copy.fails("op", "verify")).message).toContain("operation 2 is missing");
  await tamper(copy, (id) => {
    return sql`delete from operations where repository_id = ${id} and number = 4`;
  });
  expect((await copy.fails("op", "verify")).message).toContain("operation 2 is missing");
  const other = await logged();
  expect(await other.json("op", "verify")).toMatchObject({ operations: 4 });
  await tamper(other, async (id) => {
    await sql`delete from operations where repository_id = ${id} and number = 4`;
    await sql`update repositories set operation_number = 3, operation_hash =
      (select hash from operations where repository_id = ${id} and number = 3)
      where repository_id = ${id}`;
  });
  expect((await other.fails("op", "verify")).message).toContain(
    "operation 4, which was verified here before, is not there any more",
  );
});
