import { PogoError } from "#core/errors.ts";
import { sha256 } from "#core/hash.ts";
import init from "../../../sql/0001_init.sql" with { type: "text" };
import { transaction, type Queries, type Sql } from "./connect.ts";

type Migration = { number: number; name: string; text: string };

/** A migration as a database has it, the checksum in hexadecimal. */
export type AppliedMigration = { number: number; name: string; checksum: string };

const migrations: readonly Migration[] = [{ number: 1, name: "0001_init", text: init }];
// Any number that others are unlikely to lock: "pogo" in ASCII.
const lockKey = 0x706f676f;
const serverVersionMin = 150_000;

/**
 * Brings the database to the schema that this program knows, once, however many servers start
 * together. A database of a later program is refused.
 */
export async function migrate(sql: Sql): Promise<void> {
  await checkServerVersion(sql);
  await transaction(sql, (tx) => migrateIn(tx));
}

/** Does so in a transaction; if migrations are named, no further than those go. */
export async function migrateIn(tx: Queries, through?: readonly AppliedMigration[]): Promise<void> {
  await lockSchema(tx);
  await tx`
    create table if not exists migrations (
      number integer primary key,
      name text not null,
      checksum bytea not null,
      applied_at timestamptz not null default now()
    )`;
  const applied = await listMigrations(tx);
  (through ?? applied).forEach(checkMigration);
  const wanted = migrations.slice(applied.length, through?.length);
  for (const migration of wanted) await apply(tx, migration);
}

/** Keeps others from migrating until the transaction ends. */
export async function lockSchema(tx: Queries): Promise<void> {
  await tx`select pg_advisory_xact_lock(${lockKey})`;
}

/** Lists what was applied to a database. */
export async function listMigrations(tx: Queries): Promise<AppliedMigration[]> {
  return await tx<AppliedMigration[]>`
    select number, name, encode(checksum, 'hex') as checksum from migrations order by number`;
}

async function apply(tx: Queries, { number, name, text }: Migration): Promise<void> {
  await tx.unsafe(text);
  await tx`
    insert into migrations (number, name, checksum)
    values (${number}, ${name}, ${checksumOf(text)})`;
}

/** Refuses a migration that this program does not know, or not like that. */
export function checkMigration({ number, name, checksum }: AppliedMigration): void {
  const known = migrations[number - 1];
  if (known === undefined) {
    throw new PogoError("usage", `the database was written by a newer pogo (${name})`, {
      hint: "start it with the newest pogo that has served this database",
    });
  }
  if (known.name === name && checksumOf(known.text).toHex() === checksum) return;
  throw new PogoError("corrupt", `the database's migration ${name} is not the one known here`, {
    hint: "this pogo and the one that made the database come from different sources",
  });
}

async function checkServerVersion(sql: Sql): Promise<void> {
  const [row] = await sql<{ number: number; text: string }[]>`
    select current_setting('server_version_num')::integer as number,
      current_setting('server_version') as text`;
  if (row && row.number >= serverVersionMin) return;
  throw new PogoError("usage", `the database is PostgreSQL ${row?.text}: 15 or newer is needed`);
}

// Line endings are an editor's business.
function checksumOf(text: string): Uint8Array {
  return sha256(Buffer.from(text.replaceAll("\r\n", "\n")));
}
