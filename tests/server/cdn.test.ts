/** Objects by way of a delivery network: one that works, nginx, and one that does not. */
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { openObjectFetcher } from "#client/object-urls.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { readContents } from "#client/contents.ts";
import { encodeObject } from "#core/object.ts";
import { sha256, toHex, type Hash } from "#core/hash.ts";
import { PullServiceService as Pull, type ObjectUrl } from "#gen/pogo/v1/pull.ts";
import type { Trust } from "#rpc/trust.ts";
import { selfSign } from "#server/tls/self-signed.ts";
import { freePort } from "../support/free-port.ts";
import { startNginx } from "../support/nginx.ts";
import { engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, testRootToken } from "../support/server.ts";
import type { TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

// Shrinks to more than is fetched from the server itself; is stored as it is; is small; is chunks.
const texts = {
  words: Buffer.from(Array.from({ length: 200_000 }, (_, index) => index.toString(36)).join(" ")),
  noise: crypto.getRandomValues(new Uint8Array(60_000)),
  small: Buffer.from("small"),
};
const hashes = Object.values(texts).map(sha256);

const parts = new AsyncDisposableStack();
let server: TestServer;
let open: Remote;
/** What the network answers instead of what the origin does. */
let misbehave: ((url: URL) => Response | Promise<Response> | undefined) | undefined;
let asked: string[] = [];
beforeAll(async () => {
  const network = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch({ url, headers }) {
      const { pathname, search } = new URL(url);
      asked.push(pathname);
      const answer = await misbehave?.(new URL(url));
      if (answer) return answer;
      const from = await fetch(`${server.server.url}${pathname.slice("/edge".length)}${search}`, {
        decompress: false,
        headers,
      });
      return new Response(await from.bytes(), { status: from.status, headers: from.headers });
    },
  });
  parts.defer(() => network.stop(true));
  const cdn = `http://127.0.0.1:${network.port}/edge/`;
  server = parts.use(await startTestServer(engines[0]!, { cdn }));
  const channel = server.channel(testRootToken);
  open = await createRemote(channel, "open", { public: true });
  await publish(open, texts);
  await publish(await createRemote(channel, "closed"), texts);
});
afterAll(() => parts[Symbol.asyncDispose]());
beforeEach(() => {
  misbehave = undefined;
  asked = [];
});

/** A client that has met no failure yet. */
function remote(repository = "open"): Remote {
  return openRemote(server.channel(testRootToken), repository);
}

async function fetched(from: Remote, wanted = hashes): Promise<string[]> {
  const contents: string[] = [];
  for (const hash of wanted) {
    const pieces = await Array.fromAsync(readContents(from, hash));
    contents.push(toHex(sha256(Buffer.concat(pieces))));
  }
  return contents;
}

async function urlsOf(repository: string, wanted: Hash[] = hashes): Promise<ObjectUrl[]> {
  const request = { repository, hashes: wanted, acceptUrls: true };
  const messages = server.channel(testRootToken).serverStream(Pull.getObjects, request);
  return (await Array.fromAsync(messages)).flatMap(({ urls }) => urls);
}

function origin({ url }: ObjectUrl): string {
  const { pathname, search } = new URL(url);
  return `${server.server.url}${pathname.slice("/edge".length)}${search}`;
}

describe("a network that works", () => {
  test("large objects come from there, public ones sooner, and all in order", async () => {
    const blobs = await Array.fromAsync(remote().getObjects([...hashes, ...hashes.toReversed()]));
    expect(blobs.map(({ hash }) => toHex(hash))).toEqual(
      [...hashes, ...hashes.toReversed()].map(toHex),
    );
    expect(await fetched(remote())).toEqual(hashes.map(toHex));
    expect(new Set(asked)).toEqual(
      new Set(hashes.slice(0, 2).map((hash) => `/edge/open/objects/${toHex(hash)}`)),
    );
    asked = [];
    expect(await fetched(remote("closed"))).toEqual(hashes.map(toHex));
    expect(asked).toEqual([`/edge/closed/objects/${toHex(hashes[0]!)}`]);
  });

  test("who does not say that it may gets no URL", async () => {
    const request = { repository: "open", hashes, acceptUrls: false };
    const messages = server.channel(testRootToken).serverStream(Pull.getObjects, request);
    expect((await Array.fromAsync(messages)).flatMap(({ urls }) => urls)).toEqual([]);
  });

  test("all who ask within an hour get the same URL", async () => {
    expect(await urlsOf("open")).toEqual(await urlsOf("open"));
  });
});

describe("a network that does not work", () => {
  const bomb = Bun.zstdCompressSync(new Uint8Array(50_000_000));
  const failures: Record<string, (url: URL) => Response | Promise<Response>> = {
    "is down": () => new Response("down", { status: 503 }),
    "sends other bytes": () => new Response("other bytes"),
    "sends part of it": async (url) => {
      const { pathname, search } = url;
      const from = await fetch(`${server.server.url}${pathname.slice(5)}${search}`);
      return new Response((await from.bytes()).subarray(0, 1000));
    },
    "sends more": () => new Response(new Uint8Array(8_000_000)),
    "sends what grows": () => {
      const headers = { "content-encoding": "zstd" };
      return new Response(bomb, { headers });
    },
    "sends another encoding": () =>
      new Response(Bun.gzipSync(texts.noise), { headers: { "content-encoding": "gzip" } }),
    "sends elsewhere": () => Response.redirect(`${server.server.url}/healthz`),
  };
  test.each(Object.keys(failures))("a network that %s is asked no more", async (name) => {
    misbehave = failures[name];
    const client = remote();
    expect(await fetched(client)).toEqual(hashes.map(toHex));
    expect(asked.length).toBe(1);
    const blobs = await Array.fromAsync(remote().getObjects([...hashes, ...hashes]));
    expect(blobs.map(({ hash }) => toHex(hash))).toEqual([...hashes, ...hashes].map(toHex));
  });

  test("a network that says nothing is not waited for long", async () => {
    misbehave = () => new Promise(() => {});
    const fetcher = openObjectFetcher({ url: server.server.url, trust: {}, idleMs: 50 });
    const urls = await urlsOf("open");
    const instead: string[] = [];
    const own = async function* (missed: Hash[]) {
      instead.push(...missed.map(toHex));
      for (const hash of missed) yield { hash, bytes: encodeObject(texts.small) };
    };
    const located = async function* () {
      yield* urls;
    };
    await Array.fromAsync(fetcher.follow(located(), own));
    expect([instead, fetcher.isOn]).toEqual([urls.map(({ hash }) => toHex(hash)), false]);
  });

  test("nobody is sent where others can listen in, or into the client's machine", async () => {
    const [{ hash, rawSize } = { hash: new Uint8Array(), rawSize: 0 }] = await urlsOf("open");
    for (const [url, of] of [
      [`http://${"x".repeat(8)}.example/`, server.server.url],
      [`${server.server.url}/healthz`, "https://pogo.example"],
      ["file:///etc/hostname", server.server.url],
      [`http://user:pass@127.0.0.1:${server.server.port}/`, server.server.url],
    ] as const) {
      const fetcher = openObjectFetcher({ url: of, trust: {} });
      const located = async function* () {
        yield { hash, rawSize, url };
      };
      const missed: string[] = [];
      const own = async function* (wanted: Hash[]) {
        missed.push(...wanted.map(toHex));
      };
      await Array.fromAsync(fetcher.follow(located(), own));
      expect([url, missed]).toEqual([url, [toHex(hash)]]);
    }
  });
});

test("a network is believed for its certificate, and for no other reason", async () => {
  const { cert, key } = await selfSign("127.0.0.1");
  const encoded = encodeObject(texts.noise, "raw");
  using network = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert, key },
    fetch: () => new Response(texts.noise),
  });
  const fetchedWith = async (trust: Trust) => {
    const fetcher = openObjectFetcher({ url: "https://pogo.example", trust });
    const url = `https://127.0.0.1:${network.port}/`;
    const located = async function* () {
      yield { hash: hashes[1]!, rawSize: texts.noise.length, url };
    };
    const none = async function* () {};
    return (await Array.fromAsync(fetcher.follow(located(), none))).map(({ bytes }) => bytes);
  };
  expect(await fetchedWith({})).toEqual([]);
  // One that was trusted to be the server's is no authority for others.
  expect(await fetchedWith({ certificate: cert })).toEqual([]);
  expect(await fetchedWith({ roots: cert })).toEqual([encoded]);
});

describe("the origin", () => {
  test("a URL is good for what it was made for, and until it expires", async () => {
    const [url] = await urlsOf("open");
    const [other] = await urlsOf("closed");
    const status = async (text: string) => (await fetch(text)).status;
    const right = origin(url!);
    expect(await status(right)).toBe(200);
    const { searchParams } = new URL(right);
    const signature = searchParams.get("signature")!;
    const expires = searchParams.get("expires")!;
    const hex = toHex(hashes[0]!);
    expect(await status(right.replace("/open/", "/closed/"))).toBe(403);
    expect(await status(right.replace("/open/", "/absent/"))).toBe(403);
    expect(await status(right.replace(hex, toHex(hashes[1]!)))).toBe(403);
    expect(await status(right.replace(expires, String(Number(expires) + 3600)))).toBe(403);
    expect(await status(right.replace(expires, "1"))).toBe(403);
    expect(await status(right.replace(signature, signature.toUpperCase()))).toBe(403);
    expect(
      await status(right.replace(signature, new URL(other!.url).searchParams.get("signature")!)),
    ).toBe(403);
    expect(await status(right.split("?")[0]!)).toBe(403);
    expect(await status(right.replace(hex, "0".repeat(63)))).toBe(404);
    expect((await fetch(right, { method: "POST" })).status).toBe(405);
  });

  test("what it says lets a network keep it as long as the URL is good, and give parts", async () => {
    const [url] = await urlsOf("open");
    const get = async (headers: Record<string, string> = {}) => {
      const response = await fetch(origin(url!), { headers, decompress: false });
      return { response, status: response.status, bytes: Buffer.from(await response.bytes()) };
    };
    const { response, bytes } = await get();
    const said = (name: string) => response.headers.get(name);
    expect(said("content-encoding")).toBe("zstd");
    expect(Buffer.from(Bun.zstdDecompressSync(bytes)).equals(texts.words)).toBe(true);
    const [, seconds] = /^public, max-age=(\d+), immutable$/.exec(said("cache-control")!)!;
    expect(Number(seconds)).toBeWithin(3500, 7201);
    const part = await get({ range: "bytes=10-19" });
    expect(part.status).toBe(206);
    expect(part.response.headers.get("content-range")).toBe(`bytes 10-19/${bytes.length}`);
    expect(part.bytes.equals(bytes.subarray(10, 20))).toBe(true);
    const start = bytes.length - 5;
    expect((await get({ range: `bytes=${start}-` })).bytes.equals(bytes.subarray(-5))).toBe(true);
    expect((await get({ range: "bytes=-5" })).bytes.equals(bytes.subarray(-5))).toBe(true);
    expect((await get({ range: `bytes=${bytes.length}-` })).status).toBe(416);
    expect((await get({ range: "bytes=1-2", "if-range": '"other"' })).status).toBe(200);
    expect((await get({ "if-none-match": said("etag")! })).status).toBe(304);
  });

  test("a server without a network has no such route", async () => {
    await using plain = await startTestServer(engines[0]!);
    const { pathname, search } = new URL(origin((await urlsOf("open"))[0]!));
    expect((await fetch(`${plain.server.url}${pathname}${search}`)).status).toBe(404);
  });

  test("an address where others could listen in is refused", async () => {
    for (const cdn of ["http://cdn.example", "cdn.example", "https://cdn.example/?a=b"]) {
      expect(await refusal(startTestServer("embedded", { cdn }))).toBe("usage");
    }
  });
});

test.skipIf(!Bun.which("nginx"))("nginx keeps what one client fetched for the next", async () => {
  const { path } = parts.use(temporaryDirectory());
  const port = await freePort();
  const behind = parts.use(await startTestServer(engines[0]!, { cdn: `http://127.0.0.1:${port}` }));
  mkdirSync(join(path, "cache"));
  parts.use(await startNginx(path, configuration(path, port, behind.server.port)));
  const first = await createRemote(behind.channel(testRootToken), "kept", { public: true });
  await publish(first, texts);
  const contents = async () => {
    return await fetched(openRemote(behind.channel(testRootToken), "kept"));
  };
  expect(await contents()).toEqual(hashes.map(toHex));
  expect(await contents()).toEqual(hashes.map(toHex));
  const request = { repository: "kept", hashes, acceptUrls: true };
  const messages = behind.channel(testRootToken).serverStream(Pull.getObjects, request);
  const [url] = (await Array.fromAsync(messages)).flatMap(({ urls }) => urls);
  const part = await fetch(url!.url, { headers: { range: "bytes=1-4" }, decompress: false });
  expect([part.status, part.headers.get("x-cache"), (await part.bytes()).length]).toEqual([
    206,
    "HIT",
    4,
  ]);
  const forged = await fetch(url!.url.replace("signature=", "signature=x"));
  expect([forged.status, forged.headers.get("x-cache")]).toEqual([403, "MISS"]);
});

function configuration(directory: string, port: number, upstream: number): string {
  return `
      proxy_cache_path ${directory}/cache keys_zone=objects:1m;
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://127.0.0.1:${upstream};
          proxy_cache objects;
          add_header X-Cache $upstream_cache_status always;
        }
      }`;
}
