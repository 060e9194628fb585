import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { openRemote } from "#client/remote.ts";
import { isPogoError } from "#core/errors.ts";
import { openChannel } from "#rpc/channel.ts";
import { startServer, type ServerOptions } from "#server/server.ts";
import { createDatabase, engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

async function failure(options: Partial<ServerOptions>, path: string): Promise<string> {
  const dataDirectory = join(path, "data");
  const started = startServer({ dataDirectory, listen: "127.0.0.1:0", ...options });
  const error = await started.then(
    (server) => server.close(),
    (error: unknown) => error,
  );
  return isPogoError(error) ? error.code : String(error);
}

test("a configuration that makes no sense is refused, and nothing is created", async () => {
  using directory = temporaryDirectory();
  const { path } = directory;
  await Bun.write(join(path, "file"), "");
  const cases: Partial<ServerOptions>[] = [
    { listen: "127.0.0.1" },
    { listen: "127.0.0.1:65536" },
    { listen: ":8080" },
    { listen: "http://127.0.0.1:8080" },
    { listen: "0.0.0.0:0" },
    { listen: "example.org:0" },
    { databaseUrl: "mysql://localhost/pogo" },
    { databaseUrl: "nonsense" },
    { objects: "s3://bucket" },
    { rootToken: "short" },
    { rootToken: "long enough, but with spaces" },
    { objects: join(path, "file") },
    { dataDirectory: join(path, "file") },
  ];
  for (const options of cases) expect(await failure(options, path)).toBe("usage");
  expect(readdirSync(path)).toEqual(["file"]);
});

test("a database that cannot be reached is unavailable, and nothing is created", async () => {
  using directory = temporaryDirectory();
  const databaseUrl = `postgres://localhost/pogo?host=${directory.path}`;
  expect(await failure({ databaseUrl }, directory.path)).toBe("unavailable");
  expect(readdirSync(directory.path)).toEqual([]);
});

test.if(engines.includes("postgres"))("a database that is not there is refused", async () => {
  using directory = temporaryDirectory();
  await using database = await createDatabase();
  const databaseUrl = database.url.replace("/test_", "/absent_");
  expect(await failure({ databaseUrl }, directory.path)).toBe("usage");
  expect(readdirSync(directory.path)).toEqual([]);
});

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  beforeAll(async () => void (server = await startTestServer(engine)));
  afterAll(() => server[Symbol.asyncDispose]());

  test("the port answers browsers and whoever watches over it", async () => {
    const get = async (path: string, method = "GET") => {
      const response = await fetch(`${server.server.url}${path}`, { method });
      return `${response.status} ${response.headers.get("content-type")} ${await response.text()}`;
    };
    expect(await get("/healthz")).toBe("200 text/plain; charset=utf-8 ok\n");
    expect(await get("/healthz", "HEAD")).toBe("200 text/plain; charset=utf-8 ");
    expect(await get("/")).toContain("This is a Pogo server");
    expect(await get("/absent")).toStartWith("404 ");
    expect(await get("/", "POST")).toStartWith("405 ");
  });

  if (engine === "embedded") {
    test("a second server on its database is refused", async () => {
      const { dataDirectory } = server;
      expect(await failure({ dataDirectory }, "")).toBe("unavailable");
      await createRemote(server.channel(testRootToken), "still-works");
    });
  }

  // One server for all of it: a first start takes long.
  test("a server finishes what is under way, and is as it was after a restart", async () => {
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const database = engine === "postgres" ? closing.use(await createDatabase()) : undefined;
    const options = {
      dataDirectory: join(path, "data"),
      databaseUrl: database?.url,
      listen: "127.0.0.1:0",
    };
    const first = await startServer(options);
    closing.defer(() => first.close());
    // The token that was made up is said once.
    expect(first.rootToken).toMatch(/^pogo_[0-9A-Za-z]{44}$/);
    const connect = (url: string) => {
      const channel = openChannel({ url, token: first.rootToken });
      closing.defer(() => channel.close());
      return channel;
    };
    const channel = connect(first.url);
    const lasting = await createRemote(channel, "lasting");
    const { change } = await publish(lasting, { a: "one" });

    const draining = await createRemote(channel, "draining");
    const pushing = publish(draining, { a: "x".repeat(100_000) });
    // Any call: when it is answered, the push has begun.
    await draining.getRepository();
    const calls = [pushing, draining.getRepository()];
    const closed = first.close();
    await Promise.allSettled(calls);
    await closed;
    expect(await refusal(draining.getRepository())).toBe("unavailable");

    const second = await startServer(options);
    closing.defer(() => second.close());
    expect(second.rootToken).toBeUndefined();
    expect(await openRemote(connect(second.url), "lasting").getChange("")).toEqual(change!);
  });
});
