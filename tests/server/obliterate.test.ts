import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { isPogoError } from "#core/errors.ts";
import { sha256, toHex, type Hash } from "#core/hash.ts";
import { decodeObject, decodeTombstone, encodeObject } from "#core/object.ts";
import { readPlaceholder } from "#core/placeholder.ts";
import { AuditServiceService as Audit } from "#gen/pogo/v1/audit.ts";
import { StorageServiceService as Storage } from "#gen/pogo/v1/storage.ts";
import type { Remote } from "#client/remote.ts";
import type { Channel } from "#rpc/channel.ts";
import { blobsOf } from "../support/gc-world.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

const nothing = { repository: "", path: "", object: new Uint8Array(0), reason: "", dryRun: false };

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let root: Channel;
  beforeAll(async () => {
    server = await startTestServer(engine);
    root = server.channel(testRootToken);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const stored = () =>
    readdirSync(join(server.dataDirectory, "objects"), { recursive: true })
      .map((path) => String(path).slice(3))
      .filter((name) => name.length === 64)
      .sort();
  const read = async (remote: Remote, hash: Hash) => {
    for await (const { bytes } of remote.getObjects([hash])) return bytes;
    throw new Error("nothing was sent");
  };

  test("contents go from all repositories, and are told of and refused from then on", async () => {
    const [one, two] = [await createRemote(root, "one"), await createRemote(root, "two")];
    const change = newChangeName();
    const texts = ["first", "second", "other"];
    const [first, second, other] = texts.map((text) => sha256(Buffer.from(text))) as [
      Hash,
      Hash,
      Hash,
    ];
    await publish(one, { "a/key": "first", b: "other" }, { change });
    await publish(one, { "a/key": "second", b: "other" }, { change, expectedVersion: 1 });
    await publish(two, { copy: "first" });
    const asked = { ...nothing, repository: "one", path: "a/key" };
    const planned = await root.unary(Storage.obliterate, { ...asked, dryRun: true });
    expect(planned.contents.map(({ hash }) => toHex(hash)).sort()).toEqual(
      [first, second].map(toHex).sort(),
    );
    expect(planned.versions.map(({ repository, path, version }) => [repository, path, version]))
      // The other repository has it too.
      .toEqual([
        ["one", "a/key", 1],
        ["one", "a/key", 2],
        ["two", "copy", 1],
      ]);
    expect(stored()).toHaveLength(3);
    expect(await refusal(root.unary(Storage.obliterate, asked))).toBe("usage");
    const done = { ...asked, reason: "a key that leaked" };
    await root.unary(Storage.obliterate, done);
    expect(stored()).toEqual([toHex(other)]);
    for (const remote of [one, two]) {
      const bytes = await read(remote, first);
      expect(readPlaceholder(decodeTombstone(first, bytes)!)).toEqual({ hash: first, size: 5 });
      expect(() => decodeObject(first, bytes)).toThrow(/obliterated on .*: a key that leaked$/);
      const missing = await remote.findMissing([other, first, second], []);
      expect(missing.obliterated).toEqual([1, 2]);
    }
    // It is not to be got by a repository that never had it.
    const three = await createRemote(root, "three");
    expect(await refusal(read(three, first))).toBe("not-found");
    const again = [{ hash: first, bytes: encodeObject(Buffer.from("first")) }];
    expect(await refusal(three.putObjects(again))).toBe("obliterated");
    expect(await refusal(one.putObjects(again))).toBe("obliterated");
    expect(stored()).toEqual([toHex(other)]);
    // New versions may keep what stands for it.
    const { tree } = (await one.getChange(change)) as { tree: Hash };
    expect((await one.findMissing([], [tree])).trees).toEqual([]);
  });

  test("it is done once, noted once, and no damage to whoever looks", async () => {
    const remote = await createRemote(root, "once");
    await publish(remote, { a: "a secret" });
    const object = sha256(Buffer.from("a secret"));
    const request = { ...nothing, object, reason: "why not" };
    const before = await usageOf("once");
    await root.unary(Storage.obliterate, request);
    await root.unary(Storage.obliterate, { ...request, reason: "for another reason" });
    expect(await usageOf("once")).toEqual({ ...before, uniqueBytes: 0, storedBytes: 0 });
    const pages = root.serverStream(Audit.listAuditEvents, { since: 0, user: "", limit: 10 });
    const events = (await Array.fromAsync(pages)).flatMap((page) => page.events);
    const noted = events.filter(({ details }) => details.includes(toHex(object)));
    expect(noted.map(({ action }) => action)).toEqual(["StorageService/Obliterate"]);
    const verify = { share: 1, repair: false, from: "" };
    const findings = (await Array.fromAsync(root.serverStream(Storage.verify, verify))).flatMap(
      (now) => now.findings,
    );
    expect(findings).toEqual([]);
    await Array.fromAsync(root.serverStream(Storage.collectGarbage, { dryRun: false }));
    expect(decodeTombstone(object, await read(remote, object))).toBeDefined();
    const unknown = { ...request, object: sha256(Buffer.from("unknown")) };
    expect(await refusal(root.unary(Storage.obliterate, unknown))).toBe("not-found");
    const noPath = { ...nothing, repository: "once", path: "b", reason: "none" };
    expect(await refusal(root.unary(Storage.obliterate, noPath))).toBe("not-found");
  });

  test("a part of a larger file is refused, and the file is named", async () => {
    const remote = await createRemote(root, "parts");
    const blobs = blobsOf(new Uint8Array(5_000_000).fill(7));
    await remote.putObjects(blobs);
    const request = { ...nothing, object: blobs[0]!.hash, reason: "a part" };
    try {
      await root.unary(Storage.obliterate, request);
      expect.unreachable();
    } catch (error) {
      expect(isPogoError(error, "usage") && error.hint).toBe(
        `pogo admin obliterate ${toHex(blobs.at(-1)!.hash)}`,
      );
    }
    await root.unary(Storage.obliterate, { ...request, object: blobs.at(-1)!.hash });
    const names = stored();
    for (const { hash } of blobs) expect(names).not.toContain(toHex(hash));
    // Chunks are nothing by themselves: they may come again.
    await remote.putObjects(blobs.slice(0, 1));
    expect(await refusal(remote.putObjects(blobs.slice(-1)))).toBe("not-found");
  });

  async function usageOf(name: string) {
    const { repositories } = await root.unary(Storage.measureUsage, {});
    return repositories.find(({ repository }) => repository === name)!;
  }
});
