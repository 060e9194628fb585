/** Databases for tests, on both engines. */
import { setDefaultTimeout } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
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

let cluster: Promise<Cluster> | undefined;
let users = 0;
let databaseCount = 0;

/** Creates an empty database on a cluster that this process shares. */
export async function createDatabase(): Promise<AsyncDisposable & { url: string }> {
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
