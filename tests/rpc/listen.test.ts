/** What a connection speaks is decided by its first bytes, however they arrive. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";

import { PullServiceService } from "#gen/pogo/v1/pull.ts";
import { openChannel } from "#rpc/channel.ts";
import { listen, type Listener } from "#rpc/listen.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// A frame of settings that says nothing; every HTTP/2 peer begins with one.
const settings = "\0\0\0\x04\0\0\0\0\0";
const headMs = 400;
let listener: Listener;

beforeAll(async () => {
  const services = [{ definition: PullServiceService, implementation: {} }];
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    services,
    http: ({ method }, response) => response.end(`web ${method}`),
    headMs,
  });
});
afterAll(() => listener.close(0));

type Talk = {
  socket: Socket;
  received: () => string;
  answered: Promise<void>;
  closed: Promise<void>;
};

async function open(): Promise<Talk> {
  const socket = connect(listener.port, "127.0.0.1");
  socket.setNoDelay(true);
  const answered = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
    answered.resolve();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    closed.resolve();
    answered.resolve();
  });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return { socket, received: () => received, answered: answered.promise, closed: closed.promise };
}

/** Sends pieces so that each arrives by itself. */
async function sendPieces({ socket }: Talk, pieces: Iterable<string>, gapMs = 5): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(Buffer.from(piece, "latin1"));
    await Bun.sleep(gapMs);
  }
}

describe("a request of HTTP/1.1 whose method begins as the preface of HTTP/2 does", () => {
  for (const method of ["POST", "PUT", "PATCH", "PROPFIND"]) {
    test(`${method}: is a request, wherever its first packet ends`, async () => {
      const request = `${method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`;
      for (const split of [1, 2, 3, method.length, method.length + 1]) {
        const talk = await open();
        await sendPieces(talk, [request.slice(0, split), request.slice(split)]);
        await talk.answered;
        expect([split, talk.received()]).toEqual([split, expect.stringContaining(`web ${method}`)]);
        talk.socket.destroy();
      }
    });
  }

  test("is answered when it is none, too", async () => {
    const talk = await open();
    await sendPieces(talk, ["PRI", " / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    await talk.closed;
    expect(talk.received()).toStartWith("HTTP/1.1 400 ");
  });
});

test("the preface of HTTP/2 is known in any pieces", async () => {
  const whole = preface + settings;
  const cuts = [
    [whole],
    ["P", whole.slice(1)],
    [...whole],
    [preface.slice(0, 14), whole.slice(14)],
  ];
  for (const pieces of cuts) {
    const talk = await open();
    await sendPieces(talk, pieces);
    await talk.answered;
    // Settings, of the connection.
    expect(talk.received().slice(3, 4)).toBe("\x04");
    expect(talk.received().slice(5, 9)).toBe("\0\0\0\0");
    talk.socket.destroy();
  }
});

test("who drips is cut off as late as who says nothing", async () => {
  // Several times the time there is, in pieces that come much sooner.
  const drip = (talk: Talk, text: string) => sendPieces(talk, text, (headMs / text.length) * 3);
  const talks = await Promise.all([open(), open(), open()]);
  const [silent, rpc, web] = talks;
  await Promise.all([
    ...talks.map(({ closed }) => closed),
    drip(rpc!, preface + settings),
    drip(web!, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
  ]);
  expect([silent, rpc, web].map((talk) => talk!.received())).toEqual(["", "", ""]);
});

test("a connection may be used for requests as long as each comes in time", async () => {
  const talk = await open();
  const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (let count = 1; count <= 6; count++) {
    await sendPieces(talk, [request], headMs / 4);
    expect(talk.received().split("web GET")).toHaveLength(count + 1);
  }
  await talk.closed;
});

test("a connection without calls is closed, and its client connects again", async () => {
  const services = [{ definition: PullServiceService, implementation: {} }];
  // Longer than a busy machine takes to make a call on a new connection.
  const options = { host: "127.0.0.1", port: 0, services, http: () => {}, idleMs: 250 };
  const idle = await listen(options);
  const channel = openChannel({ url: `http://127.0.0.1:${idle.port}` });
  try {
    const call = async () => {
      const request = { repository: "r", hashes: [], acceptUrls: false };
      const stream = channel.serverStream(PullServiceService.getObjects, request);
      return await Array.fromAsync(stream).catch(({ message }: Error) => message);
    };
    for (let count = 0; count < 3; count++) {
      expect(await call()).toContain("does not know this call");
      await Bun.sleep(400);
    }
    const silent = connect(idle.port, "127.0.0.1");
    const closed = new Promise<void>((resolve) => silent.once("close", () => resolve()));
    silent.on("error", () => {}).resume();
    silent.write(preface + settings);
    await closed;
  } finally {
    channel.close();
    await idle.close(0);
  }
});
