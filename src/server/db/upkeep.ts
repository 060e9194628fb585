import type { Queries } from "./connect.ts";

/** Takes on what is done from time to time; says no when it was done, or begun, not long ago. */
export async function claimUpkeep(sql: Queries, name: string, everyMs: number): Promise<boolean> {
  const rows = await sql`
    insert into upkeep (name, done_at) values (${name}, now())
    on conflict (name) do update set done_at = now()
    where upkeep.done_at < now() - ${everyMs} * interval '1 millisecond'
    returning 1`;
  return rows.length > 0;
}
