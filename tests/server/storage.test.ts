import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { encodeObject } from "#core/object.ts";
import { sha256 } from "#core/hash.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import { s3Program } from "../../scripts/s3.ts";
import { engines, temporaryDirectory, startMs } from "../support/postgres.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";
import { startS3 } from "../support/s3.ts";

setDefaultTimeout(startMs);

const [engine] = engines as ["postgres"];
const raw = Buffer.from("the contents of a file ".repeat(20));
const object = { hash: sha256(raw), bytes: encodeObject(raw) };

async function roundTrip({ channel }: TestServer): Promise<void> {
  const remote = await createRemote(channel(testRootToken), "storage");
  await remote.putObjects([object]);
  const [got] = await Array.fromAsync(remote.getObjects([object.hash]));
  expect(Buffer.compare(got!.bytes, object.bytes)).toBe(0);
}

async function filesBelow(directory: string): Promise<string[]> {
  const names = await readdir(directory, { recursive: true });
  return names.filter((name) => /[0-9a-f]{64}$/.test(name)).map((name) => join(directory, name));
}

describe("a server keeps objects where it is told to", () => {
  test("on several volumes, and moves them on demand", async () => {
    using directory = temporaryDirectory();
    const objects = [1, 2, 3].map((number) => join(directory.path, String(number))).join(",");
    await using server = await startTestServer(engine, { objects });
    await roundTrip(server);
    const root = server.channel(testRootToken);
    const said = await Array.fromAsync(root.serverStream(Storage.rebalance, {}));
    expect(said.at(-1)).toEqual({ checked: 1, moved: 0, movedBytes: 0 });
    const other = await server.user("ann");
    const denied = Array.fromAsync(other.serverStream(Storage.rebalance, {}));
    await expect(denied).rejects.toMatchObject({ code: "denied" });
  });

  test("encrypted, also as they are in the cache", async () => {
    const keys = `id: ${Buffer.alloc(32, 7).toString("base64")}`;
    await using server = await startTestServer(engine, { keys });
    await roundTrip(server);
    const [file = ""] = await filesBelow(join(server.dataDirectory, "objects"));
    expect((await readFile(file)).readUInt8(4)).toBe(4);
  });

  test.skipIf(!s3Program())("in a bucket, with a cache that is encrypted as well", async () => {
    await using s3 = await startS3();
    const location = s3.bucket("objects");
    const environment = {
      S3_ENDPOINT: location.endpoint,
      AWS_ACCESS_KEY_ID: location.accessKeyId,
      AWS_SECRET_ACCESS_KEY: location.secretAccessKey,
    };
    const keys = `id: ${Buffer.alloc(32, 7).toString("base64")}`;
    const objects = "s3://objects/some/where";
    await using server = await startTestServer(engine, { objects, environment, keys });
    await roundTrip(server);
    const remote = await filesBelow(s3.pathOf(location, ""));
    const cached = await filesBelow(join(server.dataDirectory, "object-cache"));
    expect([remote.length, cached.length]).toEqual([1, 1]);
    expect(await readFile(cached[0]!)).toEqual(await readFile(remote[0]!));
    expect((await readFile(cached[0]!)).readUInt8(4)).toBe(4);
  });
});
