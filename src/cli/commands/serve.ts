import { resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { dayMs } from "#core/limits.ts";
import { readDirectoryOptions } from "#server/directory/options.ts";
import { startServer } from "#server/server.ts";
import { readSsoOptions } from "#server/sso/options.ts";
import type { TlsOptions } from "#server/tls/identity.ts";
import type { FinishedCall } from "#rpc/serve.ts";
import { command } from "../command.ts";
import { readSize } from "../sizes.ts";
import type { Context } from "../context.ts";
import { writeStderr } from "../output.ts";
import { readStorage, storageArgs } from "../storage-options.ts";

const defaultListen = "127.0.0.1:7646";

export const serve = command({
  meta: {
    description: "run the server",
    examples: ["pogo serve", "pogo serve --data /srv/pogo --listen 127.0.0.1:8080"],
  },
  args: {
    ...storageArgs,
    listen: {
      type: "string",
      valueHint: "HOST:PORT",
      description: `address to listen on; ${defaultListen} unless said otherwise`,
    },
    cache: {
      type: "string",
      valueHint: "SIZE",
      description: "how much of a bucket to keep below --data as well; 4G unless said otherwise",
    },
    retention: {
      type: "string",
      valueHint: "DAYS",
      description: "how long what was removed or overwritten stays; 30 unless said otherwise",
    },
    auditRetention: {
      type: "string",
      valueHint: "DAYS",
      description: "how long audit events stay; 400 unless said otherwise",
    },
    cdn: {
      type: "string",
      valueHint: "URL",
      description: "a delivery network in front of this server, for objects that are large",
    },
    tlsCert: { type: "string", valueHint: "FILE", description: "its certificate, in PEM" },
    tlsKey: { type: "string", valueHint: "FILE", description: "the certificate's key, in PEM" },
    tls: {
      type: "enum",
      options: ["self-signed"],
      description: "make a certificate: clients have to compare its fingerprint, once",
    },
    ldap: {
      type: "string",
      valueHint: "FILE",
      description: "JSON that says how to reach the directory of who may log in by a password",
    },
    oidc: {
      type: "string",
      valueHint: "FILE",
      description: "JSON that says which provider of identities to ask who somebody is",
    },
    workloadIssuers: {
      type: "string",
      valueHint: "URL",
      description: "who may sign for programs, such as builds; several with commas",
    },
    trustProxy: {
      type: "string",
      valueHint: "ADDRESS",
      description: "proxies that say who calls, as 10.0.0.7 or 10.0.0.0/8; several with commas",
    },
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
      ...(await readStorage(context, args)),
      listen: args.listen ?? defaultListen,
      retentionMs: args.retention === undefined ? undefined : readDays(args.retention),
      auditKeptMs: args.auditRetention === undefined ? undefined : readDays(args.auditRetention),
      cacheBytesMax: args.cache === undefined ? undefined : readSize(args.cache),
      cdn: args.cdn,
      rootToken: environment["POGO_ROOT_TOKEN"] || undefined,
      allowInsecure: args.insecureHttp ?? false,
      tls: tlsOptions(cwd, args),
      directory:
        args.ldap === undefined ? undefined : readDirectoryOptions(resolve(cwd, args.ldap)),
      sso: args.oidc === undefined ? undefined : readSsoOptions(resolve(cwd, args.oidc)),
      workloadIssuers: args.workloadIssuers?.split(",") ?? [],
      trustedProxies: args.trustProxy?.split(",") ?? [],
      observe: (call) => observe(context, call),
    });
    if (server.fingerprint !== undefined) {
      const { fingerprint } = server;
      context.print({ fingerprint }, `fingerprint of the certificate: ${fingerprint}`);
    }
    if (server.rootToken !== undefined) {
      context.print({ rootToken: server.rootToken }, `token of root: ${server.rootToken}`);
    }
    context.print({ url: server.url }, `listening on ${server.url}`);
    await stopped;
    await server.close();
  },
});

function tlsOptions(
  cwd: string,
  { tls, tlsCert, tlsKey }: { [key in "tls" | "tlsCert" | "tlsKey"]?: string | undefined },
): TlsOptions | undefined {
  if ((tlsCert === undefined) !== (tlsKey === undefined) || (tls && tlsCert)) {
    throw new PogoError("usage", "a certificate goes with its key, and with nothing else", {
      hint: "give both, --tls-cert FILE --tls-key FILE, or --tls self-signed",
    });
  }
  if (tls) return "self-signed";
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { cert: resolve(cwd, tlsCert), key: resolve(cwd, tlsKey) };
}

function readDays(text: string): number {
  const days = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (days >= 1) return days * dayMs;
  throw new PogoError("usage", `${JSON.stringify(text)} is not a number of days, from 1`);
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

/**
 * One line a call with -v; always a bug, and what the server could not do by itself, as nobody else
 * is told.
 */
function observe({ verbose }: Context, { method, code, elapsedMs, error }: FinishedCall): void {
  const isTold = code === "internal" || (method.startsWith("daily ") && code !== "ok");
  if (!verbose && !isTold) return;
  const time = new Date().toISOString();
  const ms = Math.round(elapsedMs * 10) / 10;
  const bug = error instanceof Error ? (error.stack ?? error.message) : error;
  const line = { time, method, code, ms, ...(isTold && { error: String(bug) }) };
  writeStderr(`${JSON.stringify(line)}\n`);
}
