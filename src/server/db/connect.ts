/**
 * The database, PostgreSQL or the embedded one, through one driver. 64-bit integers are numbers
 * here: ids, sizes and counts stay below 2^53.
 */
import postgres from "postgres";

import { isPogoError, PogoError } from "#core/errors.ts";
import { databaseConnectionsMax, transactionAttemptsMax } from "#core/limits.ts";
import { readDatabaseTls, tlsProblem } from "./database-tls.ts";
import { plannerSettings } from "./planner.ts";

type ParameterTypes = { bigint: number };

/** A pool of connections. */
export type Sql = postgres.Sql<ParameterTypes>;

/** What queries are sent through: the pool, or one transaction. */
export type Queries = postgres.ISql<ParameterTypes>;

/** How to reach a database: its URL, or what the driver needs for the embedded one. */
export type DatabaseTarget = string | postgres.Options<Record<string, postgres.PostgresType>>;

/** Opens a pool. It connects at the first query. */
export function connect(target: DatabaseTarget): Sql {
  const settings = {
    max: databaseConnectionsMax,
    connect_timeout: 10,
    // Arrays travel as text that we write, and come back as JSON: no catalog query per connection.
    fetch_types: false,
    onnotice: () => {},
    transform: { column: { from: postgres.toCamel } },
    types: { bigint: { to: 20, from: [20], serialize: String, parse: readInteger } },
  };
  if (typeof target !== "string") return postgres({ ...settings, ...target }) as unknown as Sql;
  const url = new URL(target);
  const ssl = readDatabaseTls(url);
  // As PostgreSQL's own programs have it: a directory there is that of a Unix socket.
  const directory = url.searchParams.get("host");
  url.searchParams.delete("host");
  return postgres(url.href, {
    ...settings,
    ...(directory !== null && { host: directory }),
    ...(ssl && { ssl }),
    connection: { application_name: "pogo", ...plannerSettings },
  });
}

/** Refuses what is not the URL of a PostgreSQL database, before anything is done with it. */
export function checkDatabaseUrl(url: string): void {
  const parsed = URL.parse(url);
  if (parsed && /^postgres(ql)?:$/.test(parsed.protocol)) return void readDatabaseTls(parsed);
  throw new PogoError("usage", "the database's URL is not one of PostgreSQL's", {
    hint: "write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE",
  });
}

/**
 * Runs the body in a transaction, again if the database chose it as the victim of a deadlock, or
 * if the same request was being applied at the same time. Inside, only `tx` may be asked: the
 * embedded database has one session, and would wait for itself.
 */
export async function transaction<T>(sql: Sql, body: (tx: Queries) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await sql.begin((tx) => body(tx))) as T;
    } catch (error) {
      if (attempt === transactionAttemptsMax || !mayPassNextTime(error)) throw error;
    }
  }
}

/** Turns a database that cannot be reached, or can take no more, into an expected failure. */
export function translateDatabaseError(error: unknown): unknown {
  if (isPogoError(error) || !(error instanceof Error) || !("code" in error)) return error;
  const problem = tlsProblem(error);
  if (problem) return problem;
  const code = String(error.code);
  // A wrong password, user or database, or one that may not create tables.
  if (/^(28|3D|42501)/.test(code)) {
    return new PogoError("usage", `the database refuses: ${error.message}`, { cause: error });
  }
  const isDown =
    /^(08|53|57P)/.test(code) ||
    /^(CONNECT_TIMEOUT|CONNECTION_\w+|ECONNREFUSED|ECONNRESET|EPIPE)$/.test(code) ||
    (code === "ENOENT" && "syscall" in error && error.syscall === "connect");
  if (!isDown) return error;
  const isFull = code.startsWith("53");
  return new PogoError(
    "unavailable",
    isFull ? `the database can take no more (${code})` : `the database does not answer (${code})`,
    { hint: "run the command again in a while", cause: error },
  );
}

/** Writes hashes for a parameter that is cast to `bytea[]`. */
export function hashArray(hashes: readonly Uint8Array[]): string {
  return `{${hashes.map((hash) => `"\\\\x${hash.toHex()}"`).join(",")}}`;
}

/** Writes numbers for a parameter that is cast to `bigint[]`; null for what is missing. */
export function numberArray(numbers: readonly (number | undefined)[]): string {
  return `{${numbers.map((number) => number ?? "null").join(",")}}`;
}

/** Writes texts for a parameter that is cast to `text[]`. */
export function textArray(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

function mayPassNextTime(error: unknown): boolean {
  if (!(error instanceof postgres.PostgresError)) return false;
  const isSameRequest = error.code === "23505" && error.constraint_name === "operations_request";
  return isSameRequest || error.code === "40001" || error.code === "40P01";
}

function readInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`the database has ${text} for a number`);
  return value;
}
