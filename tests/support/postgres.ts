/** Databases for tests, on both engines. */
import { setDefaultTimeout } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { connect, type Sql } from "#server/db/connect.ts";
import { openEmbedded } from "#server/db/embedded.ts";
import { postgresPrograms, startPostgres, type Cluster } from "../../scripts/postgres.ts";

export type Engine = "postgres" | "embedded";

/** The engines that this machine has. A machine without PostgreSQL says so. */
export const engines: Engine[] = postgresPrograms() ? ["postgres", "embedded"] : ["embedded"];
if (engines.length === 1) console.warn("PostgreSQL is not installed: its tests are skipped");

/** A first start of either engine takes seconds on a busy machine. */
export const startMs = 60_000;
// For files that run alone. Of several in one process, each has to say so itself.
setDefaultTimeout(startMs);

/** A database that nobody has migrated, or one that is as `npm test` left it. */
type DatabaseOptions = { isPrepared?: boolean };

const preparedUrl = process.env["POGO_TEST_POSTGRES"];
const preparedDirectory = process.env["POGO_TEST_EMBEDDED"];

let cluster: Promise<Cluster> | undefined;
let users = 0;
let databaseCount = 0;

/** Creates a database: on the cluster of `npm test`, or else on one that this process shares. */
export async function createDatabase({ isPrepared = false }: DatabaseOptions = {}): Promise<
  AsyncDisposable & { url: string }
> {
  if (preparedUrl !== undefined) return await copyDatabase(preparedUrl, isPrepared);
  users++;
  cluster ??= startPostgres();
  const shared = cluster;
  const leave = async () => {
    users--;
    if (users > 0 || cluster !== shared) return;
    cluster = undefined;
    await (await shared)[Symbol.asyncDispose]();
  };
  try {
    const url = await (await shared).createDatabase(`test_${++databaseCount}`);
    return { url, [Symbol.asyncDispose]: leave };
  } catch (error) {
    await leave().catch(() => {});
    throw error;
  }
}

async function copyDatabase(
  prepared: string,
  isPrepared: boolean,
): Promise<AsyncDisposable & { url: string }> {
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const url = new URL(prepared);
  const template = isPrepared ? url.pathname.slice(1) : "template1";
  url.pathname = "/postgres";
  const created = new URL(`/${name}${url.search}`, url).href;
  url.pathname = "/postgres";
  const asAdmin = async (statement: string) => {
    const sql = connect(url.href);
    await sql.unsafe(statement).finally(() => sql.end());
  };
  await asAdmin(`create database ${name} template ${template}`);
  return {
    url: created,
    [Symbol.asyncDispose]: () => asAdmin(`drop database ${name} with (force)`),
  };
}

/** A database for a server with this data directory: where one is prepared, a copy of it. */
export async function prepareDatabase(
  engine: Engine,
  dataDirectory: string,
): Promise<AsyncDisposable & { databaseUrl: string | undefined }> {
  if (engine === "postgres") {
    const { url, ...database } = await createDatabase({ isPrepared: true });
    return { databaseUrl: url, ...database };
  }
  if (preparedDirectory !== undefined) {
    cpSync(preparedDirectory, join(dataDirectory, "postgres"), { recursive: true });
  }
  return { databaseUrl: undefined, async [Symbol.asyncDispose]() {} };
}

/** Opens an empty database. */
export async function openTestDatabase(engine: Engine): Promise<AsyncDisposable & { sql: Sql }> {
  await using opening = new AsyncDisposableStack();
  const sql = engine === "postgres" ? await onCluster(opening) : await inDirectory(opening);
  opening.defer(() => sql.end({ timeout: 1 }));
  const opened = opening.move();
  return { sql, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Makes a directory that is gone when it is disposed of. */
export function temporaryDirectory(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "pogo-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

async function onCluster(opening: AsyncDisposableStack): Promise<Sql> {
  return connect(opening.use(await createDatabase()).url);
}

async function inDirectory(opening: AsyncDisposableStack): Promise<Sql> {
  const { path } = opening.use(temporaryDirectory());
  return connect(opening.use(await openEmbedded(join(path, "postgres"))).options);
}
