/** Writes numbers to an embedded database for ever, and says each one after it was acknowledged. */
import { openEmbedded } from "#server/db/embedded.ts";
import postgres from "postgres";

await using embedded = await openEmbedded(process.argv[2] ?? "");
const sql = postgres({ ...embedded.options, onnotice() {} });
await sql`create table if not exists numbers (number int primary key)`;
const [row] = await sql<{ next: number }[]>`select count(*)::int as next from numbers`;
for (let number = row?.next ?? 0; ; number++) {
  await sql`insert into numbers values (${number})`;
  process.stdout.write(`${number}\n`);
}
