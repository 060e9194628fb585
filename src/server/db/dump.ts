/**
 * All that the database holds, row by row in JSON as PostgreSQL itself spells it: what one engine
 * wrote, the other reads.
 */
import { PogoError } from "#core/errors.ts";
import { hashArray, type Queries, type Sql } from "./connect.ts";
import { listMigrations, lockSchema, migrateIn, type AppliedMigration } from "./migrate.ts";

/** Rows of a table, each as JSON. */
export type Rows = { table: string; rows: string[] };

/** A moment of a database. */
export type Moment = {
  takenAt: Date;
  /** Which server's it is. */
  serverId: string;
  migrations: AppliedMigration[];
};

// What is of no use after a restore: walks that died, logins under way, and the days on which
// something was done. Of the migrations a moment has the list.
const leftOut: readonly string[] = ["migrations", "sso_logins", "upkeep", "walks"];
const batchBytes = 512 * 1024;
const batchRowsMax = 4000;
const rowsPerInsertMax = 2000;

/** Reads a moment of the database: the rows that are yielded are those of that moment. */
export async function readMoment(
  sql: Sql,
  take: (moment: Moment, rows: AsyncIterable<Rows>) => Promise<void>,
): Promise<void> {
  await sql.begin("isolation level repeatable read read only", async (tx) => {
    await tx`set local bytea_output = 'hex'`;
    const [row] = await tx<{ takenAt: Date; serverId: string }[]>`
      select now() as taken_at, server_id::text from server_identity`;
    if (!row) throw new Error("the database does not say which server's it is");
    await take({ ...row, migrations: await listMigrations(tx) }, readTables(tx));
  });
}

/** Tells whether a server has used the database. */
export async function isUsed(sql: Queries): Promise<boolean> {
  const [row] = await sql<{ isUsed: boolean }[]>`
    select to_regclass('migrations') is not null as is_used`;
  return row?.isUsed === true;
}

/**
 * Fills an empty database with the rows of a moment, in a transaction, and brings it to the schema
 * that this program knows. Objects that could not be had count as damaged.
 */
export async function writeMoment(
  tx: Queries,
  { migrations }: Pick<Moment, "migrations">,
  tables: AsyncIterable<Rows>,
  lost: readonly Uint8Array[],
): Promise<void> {
  await lockSchema(tx);
  if (await isUsed(tx)) throw usedDatabase();
  await migrateIn(tx, migrations);
  const known = await listTables(tx);
  // What triggers would do, they did when the rows were written first.
  for (const table of known) await tx`alter table ${tx(table)} disable trigger user`;
  // A new database has rows that tell it from others.
  for (const table of [...known].reverse()) await tx`delete from ${tx(table)}`;
  for await (const { table, rows } of tables) {
    if (!known.includes(table)) throw new PogoError("corrupt", `there is no table ${table}`);
    for (let start = 0; start < rows.length; start += rowsPerInsertMax) {
      const page = `[${rows.slice(start, start + rowsPerInsertMax).join(",")}]`;
      await tx`
        insert into ${tx(table)} overriding system value
        select * from json_populate_recordset(null::${tx(table)}, ${page}::text::json)`;
    }
  }
  for (const table of known) await tx`alter table ${tx(table)} enable trigger user`;
  await tx`
    insert into damaged_objects (hash)
    select hash from objects where hash = any(${hashArray(lost)}::bytea[])
    on conflict do nothing`;
  await continueIdentities(tx);
  // Whoever went back to an old backup for something has a day before it is collected again.
  await tx`insert into upkeep (name, done_at) values ('collect', now())`;
  await migrateIn(tx);
}

/** The failure to restore where something is. */
export function usedDatabase(): PogoError {
  return new PogoError("already-exists", "the database is in use by a server", {
    hint: "restore into an empty one: another --data DIR, or createdb and --database URL",
  });
}

async function* readTables(tx: Queries): AsyncGenerator<Rows> {
  for (const table of await listTables(tx)) {
    await tx`declare dumped no scroll cursor for ${rowsOf(tx, table)}`;
    // As many as make a batch, going by the rows before: trees are of all sizes.
    for (let count = 16; ;) {
      const rows = (await tx.unsafe<{ row: string }[]>(`fetch ${count} from dumped`)).map(
        ({ row }) => row,
      );
      if (rows.length > 0) yield { table, rows };
      if (rows.length < count) break;
      const bytes = rows.reduce((sum, row) => sum + row.length, 0);
      const fitting = Math.ceil((rows.length * batchBytes) / bytes);
      count = Math.min(fitting, count * 2, batchRowsMax);
    }
    await tx`close dumped`;
  }
}

/** Objects are in order, and are not doomed if somebody holds them: those are to be kept. */
function rowsOf(tx: Queries, table: string) {
  if (table !== "objects") return tx`select row_to_json(t)::text as row from ${tx(table)} t`;
  return tx`
    select case when doomed_at is not null
      and exists (select 1 from repository_objects held where held.hash = t.hash)
      then (to_jsonb(t) || '{"doomed_at": null}')::text else row_to_json(t)::text end as row
    from objects t order by hash`;
}

/** Tables of what lasts: those that others refer to come first. */
async function listTables(tx: Queries): Promise<string[]> {
  const rows = await tx<{ name: string; refersTo: string[] }[]>`
    select c.relname as name, coalesce((
      select json_agg(distinct f.relname)
      from pg_constraint k join pg_class f on f.oid = k.confrelid
      where k.conrelid = c.oid and k.contype = 'f' and k.confrelid <> c.oid), '[]') as refers_to
    from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
      and c.relpersistence = 'p'
    order by c.relname`;
  const left = new Map(rows.map(({ name, refersTo }) => [name, refersTo]));
  const sorted: string[] = [];
  const visit = (name: string) => {
    const refersTo = left.get(name);
    if (!left.delete(name) || !refersTo) return;
    refersTo.forEach(visit);
    sorted.push(name);
  };
  for (const { name } of rows) visit(name);
  return sorted.filter((name) => !leftOut.includes(name));
}

/** Has the numbers that rows get go on after the last one. */
async function continueIdentities(tx: Queries): Promise<void> {
  const columns = await tx<{ table: string; column: string }[]>`
    select table_name::text as table, column_name::text as column from information_schema.columns
    where table_schema = current_schema() and is_identity = 'YES'`;
  for (const { table, column } of columns) {
    await tx`
      select setval(pg_get_serial_sequence(${table}, ${column}),
        (select coalesce(max(${tx(column)}), 0) + 1 from ${tx(table)}), false)`;
  }
}
