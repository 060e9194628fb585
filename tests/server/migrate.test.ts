import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { connect, transaction } from "#server/db/connect.ts";
import { migrate } from "#server/db/migrate.ts";
import { createDatabase, engines, openTestDatabase, startMs } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";

setDefaultTimeout(startMs);

test.if(engines.includes("postgres"))(
  "three servers that start together migrate once",
  async () => {
    await using database = await createDatabase();
    const pools = [1, 2, 3].map(() => connect(database.url));
    await using _ = {
      [Symbol.asyncDispose]: async () => void (await Promise.all(pools.map((sql) => sql.end()))),
    };
    await Promise.all(pools.map(migrate));
    const rows = await pools[0]!`select number, name from migrations`;
    expect([...rows]).toEqual([{ number: 1, name: "0001_init" }]);
  },
);

describe.each(engines)("%s", (engine) => {
  test("a database that is up to date is left alone, and a newer or other one refused", async () => {
    await using database = await openTestDatabase(engine);
    const { sql } = database;
    await migrate(sql);
    await migrate(sql);
    await sql`insert into migrations (number, name, checksum) values (2, '0002_later', '\\x00')`;
    expect(await refusal(migrate(sql))).toBe("usage");
    await sql`delete from migrations where number = 2`;
    await sql`update migrations set checksum = '\\x00'`;
    expect(await refusal(migrate(sql))).toBe("corrupt");
  });

  test("a transaction that fails leaves nothing, and the next one works", async () => {
    await using database = await openTestDatabase(engine);
    const { sql } = database;
    await sql`create table marks (mark integer)`;
    const failing = transaction(sql, async (tx) => {
      await tx`insert into marks values (1)`;
      throw new Error("no");
    });
    expect(await failing.catch((error: Error) => error.message)).toBe("no");
    expect(await transaction(sql, (tx) => tx`select count(*) as count from marks`)).toMatchObject([
      { count: 0 },
    ]);
  });
});
