/** Archives over HTTP: who gets them, what is said of them, and what is refused. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";

import type { Remote } from "#client/remote.ts";
import { ArchiveFormat } from "#gen/pogo/v1/archive.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { sha256 } from "#core/hash.ts";
import { encodeObject, objectHeaderBytes } from "#core/object.ts";
import { engines, startMs } from "../../support/postgres.ts";
import { publish } from "../../support/publish.ts";
import { createRemote, startTestServer, testRootToken } from "../../support/server.ts";
import type { TestServer } from "../../support/server.ts";

setDefaultTimeout(startMs);

const text = "line\n".repeat(1000);
let server: TestServer;
let open: Remote;
let change: { name: string; version: number };
beforeAll(async () => {
  server = await startTestServer(engines[0]!);
  const channel = server.channel(testRootToken);
  open = await createRemote(channel, "open", { public: true });
  // Whoever sends an object first decides how it is compressed.
  const encoded = encodeObject(Buffer.from(text), "deflate");
  await open.putObjects([{ hash: sha256(Buffer.from(text)), bytes: encoded }]);
  change = (await publish(open, { "a.txt": text, "d/b.txt": "b" })).change!;
  await open.setBookmark("v1/main", change.name);
  await publish(await createRemote(channel, "closed"), { a: "secret" });
});
afterAll(() => server[Symbol.asyncDispose]());

type Asked = { method?: string; headers?: Record<string, string> };

function get(path: string, asked: Asked = {}): Promise<Response> {
  return fetch(`${server.server.url}${path}`, asked);
}

async function bytesOf(archive: ReturnType<Remote["getArchive"]>): Promise<Buffer> {
  return Buffer.concat((await Array.fromAsync(archive)).map(({ data }) => data));
}

test("they are what the protocol's call gives", async () => {
  for (const [extension, format, type] of [
    ["zip", ArchiveFormat.ARCHIVE_FORMAT_ZIP, "application/zip"],
    ["tar.zst", ArchiveFormat.ARCHIVE_FORMAT_TAR_ZSTD, "application/zstd"],
  ] as const) {
    const response = await get(`/open/archive/v1/main.${extension}?path=d&path=a.txt`);
    expect([response.status, response.headers.get("content-type")]).toEqual([200, type]);
    const called = open.getArchive({ revision: "v1/main", format, paths: ["a.txt", "d"] });
    expect(Buffer.from(await response.bytes()).equals(await bytesOf(called))).toBe(true);
  }
});

test("what is stored as deflate goes into a zip as it is", async () => {
  const zip = await (await get("/open/archive/v1/main.zip?path=a.txt")).bytes();
  const payload = encodeObject(Buffer.from(text), "deflate").subarray(objectHeaderBytes);
  expect(inflateRawSync(payload).toString()).toBe(text);
  expect(Buffer.from(zip).includes(payload)).toBe(true);
});

test("what is said of them lets caches keep them", async () => {
  const head = async (revision: string, headers = {}) => {
    const response = await get(`/open/archive/${revision}.zip`, { method: "HEAD", headers });
    expect(await response.text()).toBe("");
    const { status } = response;
    return {
      status,
      cache: response.headers.get("cache-control"),
      tag: response.headers.get("etag"),
    };
  };
  const fixed = await head(`${change.name}%40${change.version}`);
  expect(fixed).toMatchObject({ status: 200, cache: "public, max-age=86400, immutable" });
  const moving = await head("v1/main");
  expect(moving).toEqual({ status: 200, cache: "public, no-cache", tag: fixed.tag });
  expect(await head("v1/main", { "if-none-match": moving.tag })).toEqual({
    ...moving,
    status: 304,
  });
  expect(await head("v1/main", { "if-none-match": '"other"' })).toEqual(moving);
});

test("a repository that is not public needs a token, and is not there for other people's", async () => {
  const request = { name: "test", expiresAt: 0, user: "stranger" };
  const { secret } = await server.channel(testRootToken).unary(Auth.createToken, request);
  const status = async (repository: string, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await get(`/${repository}/archive/main-.zip`, { headers });
    return `${response.status} ${response.headers.get("www-authenticate") ?? ""}`.trim();
  };
  expect(await status("closed")).toBe("401 Bearer");
  expect(await status("absent")).toBe("401 Bearer");
  expect(await status("open", "made-up")).toBe("401 Bearer");
  const asStranger = await get("/closed/archive/x.zip", {
    headers: { authorization: `Bearer ${secret}` },
  });
  expect([asStranger.status, await asStranger.text()]).toEqual([
    404,
    'no repository is named "closed"\n',
  ]);
  const own = await get("/closed/archive/k.zip", {
    headers: { authorization: `Bearer ${testRootToken}` },
  });
  expect([own.status, await own.text()]).toEqual([404, expect.stringContaining("no bookmark")]);
});

test("an archive that cannot be finished does not look as if it were", async () => {
  const lost = Buffer.alloc(100_000, "lost");
  const noise = crypto.getRandomValues(new Uint8Array(2_000_000));
  const damaged = (await publish(open, { a: noise, lost })).change!;
  const hex = sha256(lost).toHex();
  rmSync(join(server.dataDirectory, "objects", hex.slice(0, 2), hex));
  const whole = async (path: string) => {
    const response = await get(`/open/archive/${damaged.name}.zip${path}`);
    return response.status === 200 && (await response.bytes()).length > 0;
  };
  expect(await whole("?path=a")).toBe(true);
  expect(await whole("?path=lost").catch(() => false)).toBe(false);
  expect(await whole("").catch(() => false)).toBe(false);
});

test("a path that is none of an archive is not there", async () => {
  const statuses = async (...paths: string[]) => {
    return await Promise.all(paths.map(async (path) => (await get(path)).status));
  };
  expect(
    await statuses("/open/archive/v1/main.rar", "/open/archive/", "/open/archive/.zip"),
  ).toEqual([404, 404, 404]);
  expect(await statuses("/open/archive/absent.zip", "/open/archive/v1/main.zip?path=e")).toEqual([
    404, 404,
  ]);
  expect(await statuses("/open/archive/a%20b.zip", "/open/archive/v1/main.zip?path=../a")).toEqual([
    400, 400,
  ]);
  const post = await get("/open/archive/v1/main.zip", { method: "POST" });
  expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
});

/** The status of a path that no client of ours would send as it is. */
async function rawStatus(path: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(server.server.port, "127.0.0.1", () => {
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  });
  socket.once("data", (data) => resolve(data.toString("latin1").split(" ")[1]!));
  socket.once("close", () => resolve("closed"));
  const status = await promise;
  socket.destroy();
  return status;
}

test("a path that is not plain is not there", async () => {
  const paths = [
    "/open/archive/v1%2Fmain.zip",
    "/open%2Farchive/v1/main.zip",
    "/open/archive/v1%5Cmain.zip",
    "/open/../open/archive/v1/main.zip",
    "/open/%2e%2e/open/archive/v1/main.zip",
    "/open/archive/v1/./main.zip",
    "/open/archive/v1/main%00.zip",
    "/open/archive/v1/main%zz.zip",
    "//open/archive/v1/main.zip",
  ];
  for (const path of paths) expect([path, await rawStatus(path)]).toEqual([path, "404"]);
  expect(await rawStatus("/open/archive/v1/main.zip")).toBe("200");
});
