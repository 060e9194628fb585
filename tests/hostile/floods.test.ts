/** More of everything than anybody has reason to send: of headers, metadata, frames and resets. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";

import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { openRawClient } from "../support/raw-client.ts";
import { engines, startMs } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

const mib = 1024 * 1024;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
const types = { headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 };
const endHeaders = 4;
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer(engines[0]!);
});
afterAll(() => server[Symbol.asyncDispose]());

function frame(type: keyof typeof types, flags: number, stream: number, payload: Uint8Array) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(types[type], 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header that no table has, in HPACK. */
function header(name: string, value: string): Buffer {
  const text = (written: string) => {
    const bytes = Buffer.from(written);
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const rest = bytes.length - 127;
    const length = [127, (rest & 127) | 128, ((rest >> 7) & 127) | 128, rest >> 14];
    return Buffer.concat([Buffer.from(length), bytes]);
  };
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

const call = Buffer.concat([
  header(":method", "POST"),
  header(":scheme", "http"),
  header(":path", "/pogo.v1.AuthService/GetUser"),
  header(":authority", "x"),
  header("content-type", "application/grpc"),
  header("te", "trailers"),
]);

/** Sends pieces for as long as the server takes them. */
async function flood(pieces: Iterable<Uint8Array>): Promise<void> {
  const socket = connect(server.server.port, "127.0.0.1");
  socket.on("error", () => {}).resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  socket.write(preface);
  try {
    for (const piece of pieces) {
      if (socket.destroyed) break;
      if (socket.write(piece)) continue;
      await Promise.race([new Promise<void>((drained) => socket.once("drain", drained)), closed]);
    }
  } finally {
    socket.destroy();
  }
}

/** While it is flooded, and afterwards, the server answers, and holds no more than it did. */
async function unharmed(attack: () => Promise<unknown>): Promise<void> {
  const residentBefore = process.memoryUsage.rss();
  const attacked = attack();
  using honest = openRawClient(server.server.url, testRootToken);
  expect((await honest.unary(Auth.getUser, {})).code).toBe("ok");
  await attacked;
  expect((await honest.unary(Auth.getUser, {})).code).toBe("ok");
  expect((await fetch(`${server.server.url}/healthz`)).status).toBe(200);
  Bun.gc(true);
  expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(200 * mib);
}

test("a list of headers that does not end is cut off", async () => {
  const part = frame("continuation", 0, 1, header("x-flood", "x".repeat(16_000)));
  await unharmed(() =>
    flood([frame("headers", 0, 1, call), ...Array.from({ length: 4000 }, () => part)]),
  );
});

test("headers that name the same text thousands of times are refused", async () => {
  // One entry of the table that is written out, and then a byte for each time it is meant.
  const entry = header("x-bomb", "x".repeat(3900));
  entry[0] = 0x40;
  const bomb = Buffer.concat([call, entry, Buffer.alloc(12_000, 0x80 | 62)]);
  const streams = Array.from({ length: 50 }, (_, index) => {
    return frame("headers", endHeaders, 1 + 2 * index, bomb);
  });
  await unharmed(() => flood(streams));
});

test("calls that are taken back as soon as they are made are in nobody's way", async () => {
  const code = Buffer.from([0, 0, 0, 8]);
  await unharmed(() =>
    flood(
      (function* () {
        for (let stream = 1; stream < 20_000; stream += 2) {
          yield Buffer.concat([
            frame("headers", endHeaders, stream, call),
            frame("reset", 0, stream, code),
          ]);
        }
      })(),
    ),
  );
});

test("pings and settings by the hundred thousand are in nobody's way", async () => {
  const pings = Buffer.concat(
    Array.from({ length: 1000 }, () => frame("ping", 0, 0, Buffer.alloc(8))),
  );
  const settings = Buffer.concat(
    Array.from({ length: 1000 }, () => frame("settings", 0, 0, Buffer.from([0, 3, 0, 0, 0, 9]))),
  );
  await unharmed(() =>
    flood(Array.from({ length: 100 }, (_, index) => [pings, settings][index % 2]!)),
  );
});

test("metadata that is larger than a token ever is, is refused", async () => {
  for (const value of ["x".repeat(100_000), "x".repeat(600_000)]) {
    using client = openRawClient(server.server.url, testRootToken, { "x-large": value });
    expect((await client.unary(Auth.getUser, {})).code).not.toBe("ok");
  }
  using honest = openRawClient(server.server.url, testRootToken);
  expect((await honest.unary(Auth.getUser, {})).code).toBe("ok");
});
