/** Databases that tests copy: what every first start of a server does is done once for all. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { postgresPrograms, startPostgres } from "./postgres.ts";

/** The database of the cluster that others are made from. */
export const templateName = "prepared";

/** Prepares a database of each engine. The environment says to tests where they are. */
export async function prepareDatabases(
  program: string,
): Promise<AsyncDisposable & { environment: Record<string, string> }> {
  await using preparing = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "pogo-prepared-"));
  preparing.defer(() => rmSync(directory, { recursive: true, force: true }));
  await serveOnce(program, [], join(directory, "data"));
  const embedded = join(directory, "embedded");
  cpSync(join(directory, "data", "postgres"), embedded, { recursive: true });
  const environment: Record<string, string> = { POGO_TEST_EMBEDDED: embedded };
  if (postgresPrograms()) {
    const cluster = preparing.use(await startPostgres());
    const url = await cluster.createDatabase(templateName);
    await serveOnce(program, ["--database", url], join(directory, "unused"));
    environment["POGO_TEST_POSTGRES"] = url;
  }
  const prepared = preparing.move();
  return { environment, [Symbol.asyncDispose]: () => prepared.disposeAsync() };
}

/** Starts a server, and ends it as soon as it listens. */
async function serveOnce(program: string, options: string[], data: string): Promise<void> {
  const command = [program, "serve", "--listen", "127.0.0.1:0", "--data", data, ...options];
  const server = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  for await (const text of server.stdout.pipeThrough(new TextDecoderStream())) {
    if (text.includes("listening on")) server.kill("SIGTERM");
  }
  if ((await server.exited) !== 0) throw new Error(`${command.join(" ")} failed`);
}
