/** What arrives at the port that is no call at all, or one that no gRPC library would send. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { gzipSync } from "node:zlib";

import type { Remote } from "#client/remote.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import { engines } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import { publish } from "../support/publish.ts";
import { openRawClient } from "../support/raw-client.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

const mib = 1024 * 1024;
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

let server: TestServer;
let remote: Remote;
beforeAll(async () => {
  server = await startTestServer(engines[0]!);
  remote = await createRemote(server.channel(testRootToken), "target");
}, 60_000);
afterAll(() => server[Symbol.asyncDispose]());

/** Sends bytes, and returns what came back when the other end closed, or answered at all. */
async function send(bytes: string, { untilClosed = true } = {}): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = "";
  const socket = connect(server.server.port, "127.0.0.1", () => {
    socket.write(Buffer.from(bytes, "latin1"));
  });
  socket.on("data", (data) => {
    received += data.toString("latin1");
    if (!untilClosed) resolve();
  });
  socket.on("error", () => {});
  socket.on("close", () => resolve());
  await promise;
  socket.destroy();
  return received;
}

function open(bytes: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(server.server.port, "127.0.0.1", () => {
      socket.write(Buffer.from(bytes, "latin1"), () => resolve(socket));
    });
    socket.on("error", () => {});
  });
}

async function expectHealthy(): Promise<void> {
  const response = await fetch(`${server.server.url}/healthz`);
  expect([response.status, await response.text()]).toEqual([200, "ok\n"]);
  expect((await publish(remote, { file: crypto.randomUUID() })).change?.version).toBe(1);
}

test("garbage in the place of a request is answered with 400", async () => {
  const tls = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0".repeat(64);
  const garbage = [
    tls,
    "\0\0\0\0\r\n\r\n",
    "\xff".repeat(4000),
    "SSH-2.0-OpenSSH\r\n",
    "\r\n\r\nx\r\n\r\n",
  ];
  for (const bytes of garbage) {
    expect(await send(bytes)).toStartWith("HTTP/1.1 400 ");
  }
  await expectHealthy();
});

test("a preface that goes wrong, or garbage in the place of frames, ends the connection", async () => {
  const settings = "\0\0\0\x04\0\0\0\0\0";
  const cases = [
    preface.replace("SM", "XX"),
    preface + "\xff".repeat(100),
    preface + settings + "\xff\xff\xff\x00\x00\x00\x00\x00\x01" + "x".repeat(100),
    // A header block that is no HPACK.
    preface + settings + "\0\0\x04\x01\x04\0\0\0\x01\xff\xff\xff\xff",
    // Flow control to beyond what it may be.
    preface + settings + "\0\0\x04\x08\0\0\0\0\0\x7f\xff\xff\xff",
  ];
  for (const bytes of cases) {
    expect(await send(bytes)).not.toContain("HTTP/1.1 2");
  }
  await expectHealthy();
});

test("requests of odd methods, paths and headers are refused", async () => {
  const request = (line: string, headers = "") => {
    return `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`;
  };
  const cases: [string, number | undefined][] = [
    [request("POST /"), 405],
    [request("PUT /healthz"), 405],
    [request("TRACE /"), 405],
    [request("DELETE /objects"), 404],
    [request("GET /../../etc/passwd"), 404],
    [request("GET /%2e%2e/%2e%2e/etc/passwd"), 404],
    [request("GET //etc/passwd"), 404],
    [request("GET /healthz/../objects"), 404],
    [request("GET http://elsewhere/healthz"), 404],
    [request("GET /%00"), 404],
    [request("GET /pogo.v1.PushService/Commit"), 404],
    [request("FETCH /"), 400],
    [request("GET"), 400],
    [request("GET / extra"), 400],
    [request("GET /", `X: ${"x".repeat(100_000)}\r\n`), 431],
    [request("GET /", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400],
    [request("GET /", "Content-Length: 1\r\nContent-Length: 2\r\n"), 400],
    [request("GET /", "Bad Header: 1\r\n"), 400],
    // Closed without a word.
    [request("CONNECT elsewhere:80"), undefined],
  ];
  const answered: (number | undefined)[] = [];
  for (const [bytes] of cases) {
    const status = /^HTTP\/1\.1 (\d+)/.exec(await send(bytes))?.[1];
    answered.push(status === undefined ? undefined : Number(status));
  }
  expect(answered).toEqual(cases.map(([, status]) => status));
  await expectHealthy();
});

test("calls of unknown methods and of other content types are refused", async () => {
  const session = connectHttp2(server.server.url);
  try {
    const call = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
    const path = "/pogo.v1.PushService/Commit";
    const json = { ...call, "content-type": "application/json" };
    expect(await request(session, { ...json, ":path": path })).toMatchObject({ ":status": 415 });
    const unknown = ["/", "/pogo.v1.PushService/Nothing", "/nothing.Service/Commit", `${path}/x`];
    for (const name of unknown) {
      const answer = await request(session, { ...call, ":path": name });
      expect(answer["grpc-status"]).toBe("12");
    }
  } finally {
    session.destroy();
  }
  await expectHealthy();
});

test("a frame that declares more than it may hold, or decompresses to it, is refused", async () => {
  const session = connectHttp2(server.server.url);
  const residentBefore = process.memoryUsage.rss();
  try {
    const call = {
      ":method": "POST",
      ":path": "/pogo.v1.PushService/FindMissing",
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${testRootToken}`,
    };
    const frame = (flag: number, length: number, data: Uint8Array) => {
      const head = Buffer.alloc(5);
      head.writeUInt8(flag);
      head.writeUInt32BE(length, 1);
      return Buffer.concat([head, data]);
    };
    const huge = await request(session, call, frame(0, 2 ** 32 - 1, new Uint8Array(100)));
    expect(huge["grpc-status"]).toBe("8");
    // Members of a gzip stream add up: to a gibibyte, here.
    const member = gzipSync(new Uint8Array(32 * mib));
    const bomb = Buffer.concat(Array.from({ length: 32 }, () => member));
    const inflated = await request(
      session,
      { ...call, "grpc-encoding": "gzip" },
      frame(1, bomb.length, bomb),
    );
    expect(inflated["grpc-status"]).toBe("8");
    const garbage = { ...call, "grpc-encoding": "gzip" };
    const broken = await request(session, garbage, frame(1, 4, Buffer.from("junk")));
    expect(broken["grpc-status"]).toBe("13");
    const cut = await request(session, call, frame(0, 100, new Uint8Array(10)));
    expect(cut["grpc-status"]).not.toBe("0");
  } finally {
    session.destroy();
  }
  expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(300 * mib);
  await expectHealthy();
}, 30_000);

test("tokens that are no tokens are denied", async () => {
  const tokens = ["", " ", "x".repeat(4000), "pogo_", "' or 1=1 --", "pogo_ pogo_"];
  for (const token of tokens) {
    using client = openRawClient(server.server.url, token);
    const answer = await client.unary(Bookmarks.listBookmarks, { repository: "target", after: "" });
    expect(answer.code).toBe("denied");
  }
});

test("connections and streams that say nothing are in nobody's way", async () => {
  const idle = await Promise.all(
    Array.from({ length: 200 }, (_, index) => open(["", "PRI", preface, "GET / HT"][index % 4]!)),
  );
  const stop = new AbortController();
  const { promise: forever, resolve: release } = Promise.withResolvers<void>();
  const channel = server.channel(testRootToken);
  const streams = Array.from({ length: 60 }, async (_, index) => {
    const requests = async function* () {
      // Half of them have named a repository before they fall silent.
      if (index % 2 === 0) yield { repository: "target", parts: [] };
      await forever;
    };
    return await refusal(
      channel.clientStream(Push.putObjects, requests(), { signal: stop.signal }),
    );
  });
  await expectHealthy();
  stop.abort();
  release();
  expect(new Set(await Promise.all(streams))).toEqual(new Set(["unavailable"]));
  for (const socket of idle) socket.destroy();
  await expectHealthy();
}, 30_000);

test("a request in single bytes is a request", async () => {
  const socket = await open("");
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once("data", (data) => resolve(data.toString("latin1")));
  socket.setNoDelay(true);
  for (const character of "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") {
    await new Promise<void>((written) => socket.write(character, () => written()));
  }
  expect(await promise).toStartWith("HTTP/1.1 200 ");
  socket.destroy();
});

/** One HTTP/2 request; its answer's headers and trailers together. */
function request(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<Record<string, unknown>> {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
  const answer: Record<string, unknown> = {};
  const stream = session.request(headers);
  stream.on("response", (received) => Object.assign(answer, received));
  stream.on("trailers", (received) => Object.assign(answer, received));
  stream.on("error", reject);
  stream.on("close", () => resolve(answer));
  stream.resume();
  stream.end(body);
  return promise;
}
