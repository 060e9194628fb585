import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";

import { PogoError } from "#core/errors.ts";
import { PullServiceService, type PullServiceServer } from "#gen/pogo/v1/pull.ts";
import {
  PushServiceService,
  type PushServiceServer,
  type PutObjectsRequest,
} from "#gen/pogo/v1/push.ts";
import { checkServerUrl, openChannel, type Channel } from "#rpc/channel.ts";
import { listen, type Listener } from "#rpc/listen.ts";
import { handlers, type FinishedCall } from "#rpc/serve.ts";

const finished: FinishedCall[] = [];
const partBytes = 64 * 1024;
let listener: Listener;
let channel: Channel;
let streamEnd: (error: unknown) => void = () => {};
let responsesMade = 0;

const { unary, serverStream, clientStream } = handlers((call) => void finished.push(call));

const push: PushServiceServer = {
  findMissing: unary(async (request, call) => {
    if (request.repository === "token") throw new PogoError("denied", String(call.token));
    if (request.repository === "bug") throw new Error("a secret of the server");
    throw new PogoError("conflict", `“${request.repository}” moved`, { hint: "pogo log → näch" });
  }),
  putObjects: clientStream(async (requests) => {
    let objects = 0;
    try {
      for await (const request of requests) {
        if (request.repository === "refuse") throw new PogoError("denied", "not yours");
        objects += request.parts.length;
      }
    } catch (error) {
      streamEnd(error);
      throw error;
    }
    return { objects, bytes: 0 };
  }),
  putTrees: clientStream(async () => ({ trees: 0 })),
  commit: unary(async () => {
    throw new PogoError("usage", "unused");
  }),
};

const pull: PullServiceServer = {
  getTrees: serverStream(async function* () {
    for (; responsesMade < 1000; responsesMade++) {
      yield {
        parts: [{ hash: new Uint8Array(32), total: 0, offset: 0, data: Buffer.alloc(partBytes) }],
      };
    }
  }),
  getObjects: serverStream(async function* (request) {
    yield { parts: [], urls: [] };
    throw new PogoError("corrupt", `object of ${request.repository}`);
  }),
};

beforeAll(async () => {
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    services: [
      { definition: PushServiceService, implementation: push },
      { definition: PullServiceService, implementation: pull },
    ],
    http: (_, response) => response.end("plain"),
  });
  channel = openChannel({ url: `http://127.0.0.1:${listener.port}`, token: "t1" });
});

afterAll(async () => {
  channel.close();
  await listener.close(0);
});

function findMissing(repository: string): Promise<unknown> {
  return channel.unary(PushServiceService.findMissing, { repository, objects: [], trees: [] });
}

async function failure(promise: Promise<unknown>): Promise<PogoError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(PogoError);
  return error as PogoError;
}

async function* requests(first: string, count: number): AsyncGenerator<PutObjectsRequest> {
  const part = {
    hash: new Uint8Array(32),
    total: partBytes,
    offset: 0,
    data: Buffer.alloc(partBytes),
  };
  for (let index = 0; index < count; index++) {
    yield { repository: index === 0 ? first : "", parts: [part] };
  }
}

describe("a failed call", () => {
  test("has its code, message and hint at the other end", async () => {
    const { code, message, hint } = await failure(findMissing("x"));
    expect({ code, message, hint }).toEqual({
      code: "conflict",
      message: "“x” moved",
      hint: "pogo log → näch",
    });
  });

  test("tells nothing of a bug but that it is one", async () => {
    const { code, message } = await failure(findMissing("bug"));
    expect({ code, message }).toEqual({ code: "internal", message: "internal error" });
    expect(String(finished.at(-1)?.error)).toContain("a secret of the server");
  });

  test("keeps what a stream had yielded", async () => {
    const yielded: number[] = [];
    const stream = channel.serverStream(PullServiceService.getObjects, {
      repository: "r",
      hashes: [],
      acceptUrls: false,
    });
    const { code } = await failure(
      (async () => {
        for await (const { parts } of stream) yielded.push(parts.length);
      })(),
    );
    expect({ code, yielded }).toEqual({ code: "corrupt", yielded: [0] });
  });
});

test("the token arrives", async () => {
  expect((await failure(findMissing("token"))).message).toBe("t1");
});

test("a server that is not there is unavailable", async () => {
  const lonely = openChannel({ url: "http://127.0.0.1:1" });
  const call = lonely.unary(PushServiceService.findMissing, {
    repository: "",
    objects: [],
    trees: [],
  });
  expect((await failure(call)).code).toBe("unavailable");
  lonely.close();
});

test("a client stream is answered when all of it was read", async () => {
  const { objects } = await channel.clientStream(PushServiceService.putObjects, requests("r", 300));
  expect(objects).toBe(300);
});

test("a client stream that is refused early stops sending", async () => {
  let sent = 0;
  async function* counted(): AsyncGenerator<PutObjectsRequest> {
    for await (const request of requests("refuse", 100_000)) {
      sent++;
      yield request;
    }
  }
  const { code } = await failure(channel.clientStream(PushServiceService.putObjects, counted()));
  expect(code).toBe("denied");
  expect(sent).toBeLessThan(2_000);
});

test("a client stream that breaks is half a stream at the server", async () => {
  const ended = new Promise((resolve) => (streamEnd = resolve));
  async function* broken(): AsyncGenerator<PutObjectsRequest> {
    yield* requests("r", 2);
    throw new Error("the disk broke");
  }
  expect(channel.clientStream(PushServiceService.putObjects, broken())).rejects.toThrow("disk");
  expect(await ended).toMatchObject({ code: "unavailable", message: "the caller went away" });
});

test("a server stream waits for a slow reader and ends when the reader leaves", async () => {
  responsesMade = 0;
  const request = { repository: "r", root: new Uint8Array(), held: new Uint8Array() };
  for await (const { parts } of channel.serverStream(PullServiceService.getTrees, request)) {
    expect(parts[0]?.data.length).toBe(partBytes);
    break;
  }
  expect(responsesMade).toBeLessThan(200);
});

test("an aborted call is over at once", async () => {
  const controller = new AbortController();
  const stream = channel.serverStream(
    PullServiceService.getTrees,
    { repository: "r", root: new Uint8Array(), held: new Uint8Array() },
    { signal: controller.signal },
  );
  responsesMade = 0;
  const reading = (async () => {
    for await (const _ of stream) controller.abort();
  })();
  expect((await failure(reading)).code).toBe("unavailable");
});

test("plain HTTP is answered on the same port", async () => {
  const response = await fetch(`http://127.0.0.1:${listener.port}/`);
  expect(await response.text()).toBe("plain");
});

test("garbage is answered with 400 and harms nobody", async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const socket = connect(listener.port, "127.0.0.1", () =>
      socket.write("\x00\xff\x16garbage\r\n\r\n"),
    );
    let text = "";
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
  expect(answer).toStartWith("HTTP/1.1 400");
  expect((await failure(findMissing("x"))).code).toBe("conflict");
});

test("closing lets a call under way finish", async () => {
  const gate = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const other = await listen({
    host: "127.0.0.1",
    port: 0,
    services: [
      {
        definition: PushServiceService,
        implementation: {
          ...push,
          findMissing: unary(async () => {
            began.resolve();
            await gate.promise;
            return { objects: [7], trees: [], obliterated: [] };
          }),
        },
      },
    ],
    http: (_, response) => response.end(),
  });
  const late = openChannel({ url: `http://127.0.0.1:${other.port}` });
  const request = { repository: "", objects: [], trees: [] };
  const answer = late.unary(PushServiceService.findMissing, request);
  await began.promise;
  const closed = other.close(10_000);
  gate.resolve();
  expect(await answer).toEqual({ objects: [7], trees: [], obliterated: [] });
  await closed;
  late.close();
});

test("an address in use is a clear error", async () => {
  const { port } = listener;
  const second = listen({ host: "127.0.0.1", port, services: [], http: () => {} });
  expect(await failure(second)).toMatchObject({
    code: "unavailable",
    message: `cannot listen on 127.0.0.1:${port} (EADDRINUSE)`,
  });
});

test("plain http leaves this machine only when asked to", () => {
  expect(() => checkServerUrl("http://example.org")).toThrow("not encrypted");
  expect(() => checkServerUrl("ftp://example.org")).toThrow("not the address");
  expect(checkServerUrl("http://example.org", true).host).toBe("example.org");
  for (const url of ["http://localhost:1", "http://127.8.9.1", "http://[::1]:9", "https://x.y"]) {
    expect(checkServerUrl(url).href).toBe(`${url}/`);
  }
});
