/** What the port answers to browsers and load balancers. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

import { healthMs } from "#core/limits.ts";
import { version } from "#core/version.ts";
import { needOfRoute } from "./access/needs.ts";
import type { Sql } from "./db/connect.ts";

type Answer = { status: number; type: string; body: string };

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
export const routes: Record<string, (sql: Sql) => Promise<Answer>> = {
  "/": async () => ({ status: 200, type: "text/html; charset=utf-8", body: page }),
  "/healthz": async (sql) =>
    (await isHealthy(sql)) ? text(200, "ok\n") : text(503, "the database does not answer\n"),
};

/** Makes the listener: a page that says what this is, and `/healthz` for what watches over it. */
export function webListener({ sql }: { sql: Sql }): RequestListener {
  return (request, response) => {
    answer(sql, request).then(
      (found) => send(request, response, found),
      () => response.destroy(),
    );
  };
}

async function answer(sql: Sql, { method, url = "/" }: IncomingMessage): Promise<Answer> {
  const [path = "/"] = url.split("?");
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) return text(404, "there is nothing here\n");
  // A route that asks for more would have to find out here who asks.
  if (needOfRoute(path) !== "nobody") throw new Error(`nobody is let in to ${path} yet`);
  if (method !== "GET" && method !== "HEAD") return text(405, "only GET and HEAD\n");
  return await route(sql);
}

async function isHealthy(sql: Sql): Promise<boolean> {
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

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer) {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    ...(status === 405 && { allow: "GET, HEAD" }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
