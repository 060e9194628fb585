import { afterAll, describe, expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { sha256, toHex } from "#core/hash.ts";
import { encodeChunkList } from "#core/object.ts";
import { parseLocation } from "#server/store/location.ts";
import { openS3Store, s3Client } from "#server/store/s3.ts";
import { s3Program } from "../../../scripts/s3.ts";
import { startS3 } from "../../support/s3.ts";
import { names, objectOf, objectStoreSuite } from "../../suites/store.ts";

const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };

describe("where a bucket is", () => {
  const urlOf = (text: string, environment: Record<string, string>) => {
    const location = parseLocation(text, { ...keys, ...environment });
    if (location.kind !== "s3") throw new Error("not a bucket");
    return s3Client(location).presign(`${location.prefix}key`).split("?")[0];
  };

  test("Amazon has the bucket in the host, others have it in the path, and both can be told", () => {
    const endpoint = { AWS_ENDPOINT_URL: "https://s3.example" };
    const virtual = { ...endpoint, S3_ADDRESSING_STYLE: "virtual" };
    expect([
      urlOf("s3://bucket/a/b/", { AWS_REGION: "eu-west-1" }),
      urlOf("s3://bucket/a/b", endpoint),
      urlOf("s3://bucket", virtual),
      urlOf("s3://bucket", { S3_ADDRESSING_STYLE: "path", AWS_REGION: "eu-west-1" }),
    ]).toEqual([
      "https://bucket.s3.eu-west-1.amazonaws.com/a/b/key",
      "https://s3.example/bucket/a/b/key",
      "https://bucket.s3.example/key",
      "https://s3.eu-west-1.amazonaws.com/bucket/key",
    ]);
  });

  test("what makes no sense is refused with what to do", () => {
    const http = { AWS_ENDPOINT_URL: "http://s3.example" };
    expect(() => parseLocation("s3://", keys)).toThrow("s3:// does not name a bucket");
    expect(() => parseLocation("s3://bucket", {})).toThrow("there are no keys for s3://bucket");
    expect(() => parseLocation("s3://bucket", { ...keys, ...http })).toThrow("read by others");
    parseLocation("s3://bucket", { ...keys, ...http }, { allowInsecure: true });
    expect(() => parseLocation("ftp://host", {})).toThrow("objects cannot be kept in ftp://host");
    expect(() => parseLocation("/a,,/b", {})).toThrow("objects cannot be kept in /a,,/b");
    expect(() => parseLocation("/a,/a/", {})).toThrow("a volume is named twice");
  });
});

const isInstalled = s3Program() !== undefined;
if (!isInstalled) console.warn("versitygw is not installed: the tests of S3 are skipped");

if (isInstalled) {
  const s3 = await startS3();
  afterAll(() => s3[Symbol.asyncDispose]());
  let count = 0;
  const freshBucket = () => s3.bucket(`bucket-${count++}`);
  const keyOf = (hash: Uint8Array) => `${toHex(hash).slice(0, 2)}/${toHex(hash)}`;

  objectStoreSuite("S3 store", async () => {
    const location = freshBucket();
    const store = await openS3Store(location);
    return {
      store,
      async damage(hash, change) {
        const path = s3.pathOf(location, keyOf(hash));
        await writeFile(path, change(await readFile(path)));
      },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  });

  describe("S3 store", () => {
    test("an object of several parts is one object in the end", async () => {
      const location = freshBucket();
      const store = await openS3Store(location);
      const hash = sha256(Buffer.from("a file of 280 GB"));
      const chunk = { hash: sha256(Buffer.from("chunk")), size: 1_000_000 };
      const encoded = encodeChunkList(Array.from({ length: 280_000 }, () => chunk));
      await store.putAll([{ hash, encoded }]);
      expect(Buffer.compare(await store.get(hash), encoded)).toBe(0);
      expect(await names(store)).toEqual([toHex(hash)]);
    });

    test("a bucket that is named in the host is the same bucket", async () => {
      const location = freshBucket();
      const object = objectOf("by its host");
      const endpoint = location.endpoint!.replace("127.0.0.1", "localhost");
      const virtual = await openS3Store({ ...location, endpoint, isVirtualHosted: true });
      await virtual.putAll([object]);
      expect(await names(virtual)).toEqual([toHex(object.hash)]);
      expect(await (await openS3Store(location)).get(object.hash)).toEqual(object.encoded);
    });

    test("connections that break are made again", async () => {
      const store = await openS3Store(freshBucket());
      const object = objectOf("over a bad line");
      s3.cut(2);
      await store.putAll([object]);
      s3.cut(2);
      expect(Buffer.compare(await store.get(object.hash), object.encoded)).toBe(0);
      s3.cut(1);
      expect(await names(store)).toEqual([toHex(object.hash)]);
    });

    test("a list of several pages has no gaps, and what is no object is not listed", async () => {
      const location = freshBucket();
      const hashes = Array.from({ length: 1100 }, (_, index) => sha256(Buffer.from(`${index}`)));
      for (const key of [...hashes.map(keyOf), `00/ff${"0".repeat(62)}`, "notes.txt"]) {
        const path = s3.pathOf(location, key);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, "");
      }
      const store = await openS3Store(location);
      expect(await names(store)).toEqual(hashes.map(toHex).sort());
    });

    test("a service that answers with failures is asked a few times, then it is told", async () => {
      let requests = 0;
      await using service = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch() {
          requests++;
          const body = "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>";
          return requests < 2
            ? new Response("<ListBucketResult></ListBucketResult>")
            : new Response(body, { status: 503 });
        },
      });
      const location = { ...freshBucket(), endpoint: service.url.origin };
      const store = await openS3Store(location, { retryMs: 1 });
      await expect(store.putAll([objectOf("no")])).rejects.toMatchObject({
        code: "unavailable",
        message: `cannot write objects in s3://${location.bucket} at ${location.endpoint}: reduce your rate`,
      });
      expect(requests).toBe(7);
    });

    test("a bucket that is not there, and keys that do not fit, are told at the start", async () => {
      const location = freshBucket();
      const at = ` at ${location.endpoint}: `;
      await expect(openS3Store({ ...location, bucket: "another" })).rejects.toMatchObject({
        code: "unavailable",
        message: `cannot list objects in s3://another${at}the specified bucket does not exist`,
        hint: "create the bucket, or correct its name in --objects",
      });
      await expect(openS3Store({ ...location, secretAccessKey: "no" })).rejects.toMatchObject({
        code: "unavailable",
        hint: "correct AWS_SECRET_ACCESS_KEY, and the machine's clock",
      });
    });
  });
}
