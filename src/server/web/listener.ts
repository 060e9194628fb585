/** What the port answers to browsers, load balancers and whoever fetches without a working copy. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

import { isPogoError } from "#core/errors.ts";
import { healthMs } from "#core/limits.ts";
import { version } from "#core/version.ts";
import type { AddressReader } from "#rpc/forwarded.ts";
import type { CallObserver } from "#rpc/serve.ts";
import { needOfRoute } from "../access/needs.ts";
import type { Sql } from "../db/connect.ts";
import type { CallHandlers, Parts } from "../services/calls.ts";
import { text, type WebAnswer, type WebRequest } from "./answer.ts";
import { answerArchive } from "./archive.ts";
import { answerObject } from "./object.ts";
import { findRoute } from "./routes.ts";

export type WebParts = {
  parts: Parts;
  calls: CallHandlers;
  observe: CallObserver;
  addressOf: AddressReader;
};

type Handler = (web: WebParts, request: WebRequest) => Promise<WebAnswer>;

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Pogo</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 36rem; padding: 0 1rem }
</style>
<h1>This is a Pogo server</h1>
<p>Pogo is a version control system. With the <code>pogo</code> program, a token for this server
and the name of a repository, this makes a working copy:</p>
<pre>pogo login ADDRESS
pogo clone ADDRESS/NAME</pre>
<p>where ADDRESS is the one in your browser now. The server is Pogo ${version}.</p>
`;

/** What is answered under which path; who may ask is in `access/needs.ts`. */
export const routes: Record<string, Handler> = {
  "/": async () => text(200, page, { "content-type": "text/html; charset=utf-8" }),
  "/healthz": async ({ parts }) =>
    (await isHealthy(parts.sql)) ? text(200, "ok\n") : text(503, "the database does not answer\n"),
  "/{repository}/archive/{file}": ({ parts, calls }, request) =>
    answerArchive(parts, calls, request),
  "/{repository}/objects/{hash}": ({ parts }, request) => answerObject(parts, request),
};

/** Makes the listener. */
export function webListener(web: WebParts): RequestListener {
  return (request, response) => void respond(web, request, response);
}

async function respond(
  web: WebParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedMs = performance.now();
  let route = "unknown";
  const finish = (code: string, error?: unknown) => {
    const method = `${request.method} ${route}`;
    web.observe({ method, code, elapsedMs: performance.now() - startedMs, error });
  };
  try {
    const found = await answer(web, request, (name) => (route = name));
    await send(request, response, found);
    finish(found.status < 400 ? "ok" : String(found.status));
  } catch (error) {
    if (isPogoError(error)) finish(error.code);
    else finish("internal", error);
    // What was begun must not look as if it were complete.
    if (response.headersSent) response.destroy();
    else await send(request, response, text(500, "the server failed\n")).catch(() => {});
  }
}

async function answer(
  web: WebParts,
  { method, url = "/", headers, socket }: IncomingMessage,
  note: (route: string) => void,
): Promise<WebAnswer> {
  const [path = "/"] = url.split("?", 1);
  const found = findRoute(Object.keys(routes), path);
  const handle = found && routes[found.route];
  if (!handle) return text(404, "there is nothing here\n");
  note(found.route);
  // Nothing is answered of which nobody has decided who may ask.
  needOfRoute(found.route);
  if (method !== "GET" && method !== "HEAD") {
    return text(405, "only GET and HEAD\n", { allow: "GET, HEAD" });
  }
  const forwarded = [headers["x-forwarded-for"] ?? []].flat();
  const address = web.addressOf(socket.remoteAddress ?? "unknown", forwarded);
  const query = new URLSearchParams(url.slice(path.length + 1));
  return await handle(web, { headers, parameters: found.parameters, query, address });
}

const asked = new WeakMap<Sql, Promise<boolean>>();

/** All who ask at once share an answer: anyone may, and the database is everybody's. */
function isHealthy(sql: Sql): Promise<boolean> {
  const under = asked.get(sql) ?? askHealth(sql).finally(() => asked.delete(sql));
  asked.set(sql, under);
  return under;
}

async function askHealth(sql: Sql): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), healthMs);
  });
  const answered = sql`select 1`.then(
    () => true,
    () => false,
  );
  const result = await Promise.race([answered, late]);
  clearTimeout(timer);
  return result;
}

async function send(
  { method }: IncomingMessage,
  response: ServerResponse,
  { status, headers, body }: WebAnswer,
): Promise<void> {
  const isWhole = typeof body === "string" || body instanceof Uint8Array;
  response.writeHead(status, {
    ...(isWhole && status !== 304 && { "content-length": Buffer.byteLength(body) }),
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    ...headers,
  });
  if (method === "HEAD" || isWhole) {
    response.end(method === "HEAD" ? undefined : body);
    return;
  }
  for await (const piece of body) {
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

/** Waits until more can be sent, or nobody is there to send it to. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
    if (response.destroyed) done();
  });
}
