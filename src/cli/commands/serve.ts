import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { startServer } from "#server/server.ts";
import type { FinishedCall } from "#rpc/serve.ts";
import { command } from "../command.ts";
import type { Context, Environment } from "../context.ts";
import { writeStderr } from "../output.ts";

const defaultListen = "127.0.0.1:7646";

export const serve = command({
  meta: {
    description: "run the server",
    examples: ["pogo serve", "pogo serve --data /srv/pogo --listen 127.0.0.1:8080"],
  },
  args: {
    data: {
      type: "string",
      valueHint: "DIR",
      description: "database and objects; ~/.local/share/pogo unless said otherwise",
    },
    listen: {
      type: "string",
      valueHint: "HOST:PORT",
      description: `address to listen on; ${defaultListen} unless said otherwise`,
    },
    database: {
      type: "string",
      valueHint: "URL",
      description: "a PostgreSQL instead of the embedded one; also DATABASE_URL",
    },
    objects: { type: "string", valueHint: "DIR", description: "objects, if not below --data" },
    insecureHttp: {
      type: "boolean",
      description: "listen without TLS where others than this machine can connect",
    },
  },
  async run({ args, context }) {
    const { cwd, environment } = context;
    process.on("uncaughtException", reportUncaught);
    const stopped = aborted(context.signal);
    const server = await startServer({
      dataDirectory: resolve(cwd, args.data ?? defaultData(environment)),
      listen: args.listen ?? defaultListen,
      databaseUrl: args.database ?? (environment["DATABASE_URL"] || undefined),
      objects: args.objects,
      rootToken: environment["POGO_ROOT_TOKEN"] || undefined,
      allowInsecure: args.insecureHttp ?? false,
      observe: (call) => observe(context, call),
    });
    if (server.rootToken !== undefined) {
      context.print({ rootToken: server.rootToken }, `token of root: ${server.rootToken}`);
    }
    context.print({ url: server.url }, `listening on ${server.url}`);
    await stopped;
    await server.close();
  },
});

function defaultData(environment: Environment): string {
  return join(environment["XDG_DATA_HOME"] || join(homedir(), ".local", "share"), "pogo");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A bug that nobody waits for, in a timer for instance, must not end everybody's calls. */
function reportUncaught(error: Error): void {
  const line = { time: new Date().toISOString(), uncaught: error.stack ?? String(error) };
  writeStderr(`${JSON.stringify(line)}\n`);
}

/** One line a call with -v; a bug always, with what it was. */
function observe({ verbose }: Context, { method, code, elapsedMs, error }: FinishedCall): void {
  if (!verbose && code !== "internal") return;
  const time = new Date().toISOString();
  const ms = Math.round(elapsedMs * 10) / 10;
  const bug = error instanceof Error ? (error.stack ?? error.message) : error;
  const line = { time, method, code, ms, ...(code === "internal" && { error: String(bug) }) };
  writeStderr(`${JSON.stringify(line)}\n`);
}
