import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { sha256 } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import type { Channel } from "#rpc/channel.ts";
import { blobsOf } from "../support/gc-world.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, testRootToken } from "../support/server.ts";
import type { TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

/** Text that shrinks when it is compressed. */
const textOf = (name: string, bytes: number) => name.repeat(bytes).slice(0, bytes);

function objectOf(raw: Uint8Array) {
  return { hash: sha256(raw), bytes: encodeObject(raw) };
}

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let root: Channel;
  beforeAll(async () => {
    server = await startTestServer(engine);
    root = server.channel(testRootToken);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const usageOf = async (name: string) => {
    const { repositories } = await root.unary(Storage.measureUsage, {});
    return repositories.find(({ repository }) => repository === name)!;
  };

  test("tells all versions of the files, each content once, and as it is stored", async () => {
    const remote = await createRemote(root, "measured");
    const change = newChangeName();
    const [a, b, large] = [
      textOf("a", 1000),
      textOf("b", 3000),
      Buffer.from(textOf("l", 5_000_000)),
    ];
    await publish(remote, { a, copy: a }, { change });
    await publish(remote, { a, b }, { change, expectedVersion: 1 });
    const stored = [a, b].map((text) => encodeObject(Buffer.from(text)).length);
    const small = { objects: 2, uniqueBytes: 4000, storedBytes: stored[0]! + stored[1]! };
    expect(await usageOf("measured")).toMatchObject({ ...small, rawBytes: 5000 });
    // A large file's list of chunks is no content, and a content that others hold counts too.
    const blobs = blobsOf(large);
    await remote.putObjects(blobs);
    const unique = new Map(blobs.map(({ hash, bytes }) => [hash.toHex(), bytes]));
    const bytes = [...unique.values()].reduce((sum, encoded) => sum + encoded.length, 0);
    const all = {
      objects: 2 + unique.size,
      uniqueBytes: 4000 + 2 * 1024 * 1024 + (5_000_000 % (2 * 1024 * 1024)),
      storedBytes: small.storedBytes + bytes,
    };
    expect(await usageOf("measured")).toMatchObject(all);
    const before = await root.unary(Storage.measureUsage, {});
    await publish(await createRemote(root, "same"), { a });
    expect(await usageOf("same")).toMatchObject({ objects: 1, uniqueBytes: 1000 });
    const after = await root.unary(Storage.measureUsage, {});
    expect([after.objects, after.storedBytes]).toEqual([before.objects, before.storedBytes]);
    const { quotaBytes } = await usageOf("same");
    expect(quotaBytes).toBeUndefined();
  });

  test("a quota refuses what is too much, before it is sent, and says by how much", async () => {
    const remote = await createRemote(root, "bounded");
    expect((await remote.findMissing([], [])).room).toBeUndefined();
    await publish(remote, { a: textOf("a", 600) });
    const quota = { repository: "bounded", quotaBytes: 1000 };
    expect(await root.unary(Storage.setQuota, quota)).toEqual({ uniqueBytes: 600 });
    expect((await remote.findMissing([], [])).room).toBe(400);
    expect((await remote.findMissing([], [], 400)).room).toBe(400);
    const refused = await remote.findMissing([], [], 401).catch((error: Error) => error);
    expect(refused).toMatchObject({
      code: "denied",
      message: "repository bounded may hold 1000 bytes: this is 1 too many",
    });
    // Who does not ask is refused as well, and what is there already is no more.
    const large = objectOf(Buffer.from(textOf("b", 500)));
    expect(await refusal(remote.putObjects([large]))).toBe("denied");
    expect((await remote.findMissing([large.hash], [])).objects).toEqual([0]);
    await remote.putObjects([objectOf(Buffer.from(textOf("a", 600)))]);
    await root.unary(Storage.setQuota, { ...quota, quotaBytes: 10 });
    // Nothing new is nothing too much.
    const { change } = await publish(remote, { copy: textOf("a", 600) });
    await remote.removeChange(change!.name);
    expect((await remote.findMissing([], [])).room).toBe(0);
    await root.unary(Storage.setQuota, { repository: "bounded" });
    await remote.putObjects([large]);
  });

  test("pushes at the same time hold no more together than they may", async () => {
    const remote = await createRemote(root, "raced");
    await root.unary(Storage.setQuota, { repository: "raced", quotaBytes: 2500 });
    const pushes = Array.from({ length: 6 }, (_, index) =>
      remote.putObjects([objectOf(Buffer.from(textOf(`${index}`, 1000)))]),
    );
    const outcomes = await Promise.allSettled(pushes);
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(2);
    expect((await usageOf("raced")).uniqueBytes).toBe(2000);
  });

  test("only an administrator of the server says what a repository may hold", async () => {
    const ann = await server.user("ann");
    await createRemote(ann, "anns");
    const quota = { repository: "anns", quotaBytes: 1 };
    expect(await refusal(ann.unary(Storage.setQuota, quota))).toBe("denied");
    expect(await refusal(ann.unary(Storage.measureUsage, {}))).toBe("denied");
  });
});
