/**
 * Connections and calls that say nothing, or garbage, are in nobody's way: those who work are done
 * about as fast as alone, and the server's memory stays bounded.
 *
 * POGO_TEST_LOAD=full opens 5,000 connections and 200, or 10,000 calls, beside 32 clients
 * (`bun run test:load`), else it is a tenth of it or less, and nobody looks at the clock.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect as connectHttp2, type ClientHttp2Stream } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";

import { openRemote, type Remote } from "#client/remote.ts";
import { streamsPerConnectionMax } from "#core/limits.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import { openChannel } from "#rpc/channel.ts";
import { createDatabase, temporaryDirectory } from "../support/postgres.ts";
import { postgresPrograms } from "../../scripts/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { rootToken, startServing, type Serving } from "../support/serving.ts";

const isFull = process.env["POGO_TEST_LOAD"] === "full";
const counts = isFull
  ? { silent: 5000, streams: 10_000, garbage: 200, clients: 32, pushes: 20 }
  : { silent: 500, streams: 500, garbage: 20, clients: 4, pushes: 3 };
const memoryBytesMax = 400 * 1024 * 1024;

type Site = { server: Serving; remotes: Remote[] };

/** A server in a process of its own, and those who work on it, each in a repository. */
async function openSite(closing: AsyncDisposableStack): Promise<Site> {
  const { path } = closing.use(temporaryDirectory());
  // What the embedded database takes would hide what the connections do.
  const database = closing.use(await createDatabase({ isPrepared: true }));
  const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
  const options = { home: pogo.home, data: join(path, "data"), databaseUrl: database.url };
  const server = closing.use(await startServing(options));
  const remotes = Array.from({ length: counts.clients }, (_, index) => {
    const channel = openChannel({ url: server.url, token: rootToken });
    closing.defer(() => channel.close());
    return openRemote(channel, `honest-${index}`);
  });
  const create = (remote: Remote) =>
    remote.createRepository({ public: false, caseSensitive: false });
  await Promise.all(remotes.map(create));
  await work(remotes);
  return { server, remotes };
}

/** Says how long it took alone and beside what is in the way, and what the server holds. */
function judge({ server }: Site, aloneMs: number, besideMs: number): void {
  const memory = `the server holds ${Math.round(memoryOf(server.pid) / 1024 ** 2)} MiB`;
  const times = [aloneMs, besideMs].map((ms) => `${Math.round(ms)} ms`);
  console.log(`alone ${times[0]}, beside them ${times[1]}; ${memory}`);
  expect(server.complaints()).toBe("");
  expect(memoryOf(server.pid)).toBeLessThan(memoryBytesMax);
  if (isFull) expect(besideMs).toBeLessThan(2 * aloneMs);
}

test.skipIf(!postgresPrograms())(
  "connections of silence and garbage are in nobody's way",
  async () => {
    await using closing = new AsyncDisposableStack();
    const site = await openSite(closing);
    const { server, remotes } = site;
    const { hostname, port } = new URL(server.url);
    const aloneMs = await work(remotes);

    const sockets = new Set<Socket>();
    closing.defer(() => sockets.forEach((socket) => socket.destroy()));
    const open = async (said: string | Uint8Array) => {
      const socket = connect(Number(port), hostname);
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      await new Promise<void>((done) => {
        socket.once("connect", done);
        socket.once("close", () => done());
      });
      if (said.length > 0) socket.write(said);
    };
    // In groups: who connects waits in the system's queue, which is short.
    const beginnings = ["", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nHo"];
    for (let opened = 0; opened < counts.silent; opened += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => open(beginnings[index % 4]!)));
    }
    let isDone = false;
    const garbage = Array.from({ length: counts.garbage }, async () => {
      while (!isDone) {
        await open(crypto.getRandomValues(new Uint8Array(512)));
        await Bun.sleep(1000);
      }
    });
    const besideMs = await work(remotes);
    isDone = true;
    await Promise.all(garbage);
    judge(site, aloneMs, besideMs);
  },
  isFull ? 600_000 : 120_000,
);

test.skipIf(!postgresPrograms())(
  "calls that are begun and say nothing are in nobody's way",
  async () => {
    await using closing = new AsyncDisposableStack();
    const site = await openSite(closing);
    const { server, remotes } = site;
    const aloneMs = await work(remotes);
    const root = openChannel({ url: server.url, token: rootToken });
    closing.defer(() => root.close());
    const begin = async (index: number) => {
      // As many calls as a connection may have, and few connections to a token.
      const user = `silent-${index % 4}`;
      const token = { name: `token ${index}`, expiresAt: 0, user };
      const { secret } = await root.unary(Auth.createToken, token);
      const session = connectHttp2(server.url);
      closing.defer(() => session.destroy());
      await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
      const headers = {
        ":method": "POST",
        ":path": Push.putObjects.path,
        "content-type": "application/grpc",
        te: "trailers",
        authorization: `Bearer ${secret}`,
      };
      return Array.from({ length: streamsPerConnectionMax }, () => {
        return session.request(headers, { endStream: false }).on("error", () => {});
      });
    };
    const streams: ClientHttp2Stream[] = [];
    for (let index = 0; streams.length < counts.streams; index++) {
      streams.push(...(await begin(index)));
    }
    judge(site, aloneMs, await work(remotes));
    expect(streams.filter(({ closed }) => closed)).toEqual([]);
  },
  isFull ? 600_000 : 120_000,
);

/** Everybody pushes some changes; says how long that took. */
async function work(remotes: readonly Remote[]): Promise<number> {
  const startedMs = performance.now();
  const push = async (remote: Remote) => {
    for (let count = 0; count < counts.pushes; count++) {
      await publish(remote, { file: newChangeName() });
    }
  };
  await Promise.all(remotes.map(push));
  return performance.now() - startedMs;
}

/** What a process holds; zero where the system does not say. */
function memoryOf(pid: number): number {
  if (process.platform !== "linux") return 0;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
