import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { openRemote, type Remote } from "#client/remote.ts";
import { sha256, type Hash } from "#core/hash.ts";
import { encodeChunkList, encodeObject } from "#core/object.ts";
import { encodeTree, treeHash, type Entry } from "#core/tree.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import type { Blob } from "#rpc/blobs.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

function objectOf(contents: string | Uint8Array): Blob {
  const bytes = typeof contents === "string" ? Buffer.from(contents) : contents;
  return { hash: sha256(bytes), bytes: encodeObject(bytes) };
}

function treeOf(...entries: Entry[]): Blob {
  const bytes = encodeTree(entries);
  return { hash: treeHash(bytes), bytes };
}

function fileOf(name: string, { hash }: Blob, size: number): Entry {
  return { kind: "file", name, executable: false, size, hash };
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += 65_536) {
    crypto.getRandomValues(bytes.subarray(offset, offset + 65_536));
  }
  return bytes;
}

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let remote: Remote;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
    remote = await createRemote(ann, "mine");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function isMissing(hash: Hash): Promise<boolean> {
    return (await remote.findMissing([hash], [])).objects.length > 0;
  }

  test("what one repository holds is missing to another", async () => {
    const object = objectOf("a secret of mine");
    const tree = treeOf(fileOf("secret", object, 16));
    expect(await remote.putObjects([object])).toEqual({
      objects: 1,
      bytes: object.bytes.length,
    });
    expect(await remote.putTrees([tree])).toEqual({ trees: 1 });
    expect(await remote.findMissing([object.hash], [tree.hash])).toMatchObject({
      objects: [],
      trees: [],
    });

    const bob = await createRemote(await server.user("bob"), "another");
    expect(await bob.findMissing([object.hash], [tree.hash])).toMatchObject({
      objects: [0],
      trees: [0],
    });
    expect(await refusal(bob.putTrees([tree]))).toBe("not-found");
    expect(await refusal(Array.fromAsync(bob.getObjects([object.hash])))).toBe("not-found");
    expect(await refusal(Array.fromAsync(bob.getTrees(tree.hash, undefined)))).toBe("not-found");
    expect(await bob.putObjects([object])).toMatchObject({ objects: 1 });
    expect(await bob.putTrees([tree])).toEqual({ trees: 1 });
  });

  test("objects are read back as they were sent, in the order asked", async () => {
    const objects = ["one", "", "three", noise(3_000_000)].map(objectOf);
    await remote.putObjects(objects);
    expect(await remote.putObjects(objects)).toEqual({ objects: 0, bytes: 0 });
    const asked = [3, 0, 2, 1, 0].map((index) => objects[index]!);
    const found = await Array.fromAsync(remote.getObjects(asked.map(({ hash }) => hash)));
    expect(found.map(({ bytes }, index) => Buffer.compare(bytes, asked[index]!.bytes))).toEqual([
      0, 0, 0, 0, 0,
    ]);
  });

  test("an object of other contents than its hash says is refused, those before it kept", async () => {
    const good = objectOf("good");
    const bad = { hash: sha256(Buffer.from("what it says")), bytes: objectOf("what it is").bytes };
    expect(await refusal(remote.putObjects([good, bad]))).toBe("corrupt");
    expect(await isMissing(good.hash)).toBe(false);
    expect(await isMissing(bad.hash)).toBe(true);
    const garbage = { hash: sha256(new Uint8Array(5)), bytes: new Uint8Array(5) };
    expect(await refusal(remote.putObjects([garbage]))).toBe("corrupt");
  });

  test("what arrived whole is kept when the stream breaks", async () => {
    const first = objectOf("arrived");
    const second = objectOf(noise(600_000));
    // The more calls it answers meanwhile, the surer has the server taken what came before them.
    for (let calls = 1; await isMissing(first.hash); calls *= 2) {
      const abort = new AbortController();
      async function* broken() {
        const { hash, bytes: data } = first;
        const parts = [{ hash, total: data.length, offset: 0, data }];
        yield { repository: "mine", parts };
        const half = second.bytes.subarray(0, 300_000);
        const part = { hash: second.hash, total: second.bytes.length, offset: 0, data: half };
        yield { repository: "", parts: [part] };
        for (let call = 0; call < calls; call++) await isMissing(second.hash);
        abort.abort();
      }
      const call = ann.clientStream(Push.putObjects, broken(), { signal: abort.signal });
      expect(await refusal(call)).toBe("unavailable");
    }
    expect(await isMissing(second.hash)).toBe(true);
  });

  test("half a stream, parts out of order and absurd sizes are refused", async () => {
    const { hash, bytes } = objectOf("contents");
    const whole = { hash, total: bytes.length, offset: 0, data: bytes };
    const cases = [
      [{ ...whole, data: bytes.subarray(0, 5) }],
      [{ ...whole, offset: 5 }],
      [{ ...whole, total: 2 ** 40 }],
      [{ ...whole, hash: hash.subarray(1) }],
      [{ ...whole, data: bytes.subarray(0, 5) }, whole],
    ];
    for (const parts of cases) {
      const requests = async function* () {
        yield { repository: "mine", parts };
      };
      expect(await refusal(ann.clientStream(Push.putObjects, requests()))).toBe("usage");
      expect(await refusal(ann.clientStream(Push.putTrees, requests()))).toBe("usage");
    }
    const twoNames = async function* () {
      yield { repository: "mine", parts: [] };
      yield { repository: "another", parts: [whole] };
    };
    expect(await refusal(ann.clientStream(Push.putObjects, twoNames()))).toBe("usage");
    expect(await refusal(ann.clientStream(Push.putObjects, (async function* () {})()))).toBe(
      "usage",
    );
    expect(await isMissing(hash)).toBe(true);
  });

  test("a chunk list is accepted when the repository holds chunks that make up the file", async () => {
    const contents = noise(9_000_000);
    const chunks = [contents.subarray(0, 4_000_000), contents.subarray(4_000_000, 8_000_000)];
    chunks.push(contents.subarray(8_000_000));
    const list = (pieces: Uint8Array[]) =>
      encodeChunkList(pieces.map((piece) => ({ hash: sha256(piece), size: piece.length })));
    const file = { hash: sha256(contents), bytes: list(chunks) };

    expect(await refusal(remote.putObjects([file]))).toBe("not-found");
    const swapped = { hash: file.hash, bytes: list(chunks.toReversed()) };
    expect(await refusal(remote.putObjects([...chunks.map(objectOf), swapped]))).toBe("corrupt");
    expect(await isMissing(sha256(chunks[0]!))).toBe(false);
    expect(await remote.putObjects([file])).toMatchObject({ objects: 1 });
    expect(await remote.putTrees([treeOf(fileOf("large", file, 9_000_000))])).toEqual({ trees: 1 });

    const small = { hash: sha256(chunks[2]!), bytes: list([chunks[2]!]) };
    expect(await refusal(remote.putObjects([small]))).toBe("usage");
    const nested = encodeChunkList([
      { hash: file.hash, size: 4_000_000 },
      ...[1, 2].map(() => ({
        hash: sha256(chunks[0]!),
        size: 4_000_000,
      })),
    ]);
    expect(await refusal(remote.putObjects([{ hash: file.hash, bytes: nested }]))).toBe("corrupt");
  });

  test("a tree is refused unless all that it names is held, as it says", async () => {
    const object = objectOf("held");
    await remote.putObjects([object]);
    const child = treeOf(fileOf("f", object, 4));
    const parent = treeOf({ kind: "directory", name: "d", hash: child.hash });
    expect(await refusal(remote.putTrees([parent, child]))).toBe("not-found");
    expect(await remote.putTrees([child, parent, child])).toEqual({ trees: 2 });

    const absent = treeOf(fileOf("f", objectOf("never sent"), 10));
    expect(await refusal(remote.putTrees([absent]))).toBe("not-found");
    const liar = treeOf(fileOf("f", object, 5));
    expect(await refusal(remote.putTrees([liar]))).toBe("corrupt");
    const otherBytes = { hash: parent.hash, bytes: child.bytes };
    expect(await refusal(remote.putTrees([otherBytes]))).toBe("corrupt");
    const empty = treeOf();
    const hollow = treeOf({ kind: "directory", name: "d", hash: empty.hash });
    expect(await refusal(remote.putTrees([hollow]))).toBe("usage");
  });

  test("names that traverse, and bytes that are no tree, are refused", async () => {
    const object = objectOf("held");
    await remote.putObjects([object]);
    for (const name of ["..", ".", "a/b", ".pogo", ".POGO", "a\0b", "C:x", ""]) {
      const tree = treeOf(fileOf(name, object, 4));
      expect(await refusal(remote.putTrees([tree]))).toBe("corrupt");
    }
    const absolute = treeOf({ kind: "symlink", name: "l", target: "/etc/passwd" });
    expect(await refusal(remote.putTrees([absolute]))).toBe("corrupt");
    const bytes = Buffer.from("\x09nonsense");
    expect(await refusal(remote.putTrees([{ hash: treeHash(bytes), bytes }]))).toBe("corrupt");
  });

  test("names that differ in case alone are refused until the repository allows them", async () => {
    const careful = await createRemote(ann, "careful");
    const object = objectOf("x");
    await careful.putObjects([object]);
    const tree = treeOf(fileOf("Makefile", object, 1), fileOf("makefile", object, 1));
    expect(await refusal(careful.putTrees([tree]))).toBe("usage");
    expect(await careful.allowCaseCollisions()).toMatchObject({ caseSensitive: true });
    expect(await careful.putTrees([tree])).toEqual({ trees: 1 });
  });

  test("a few trees that spell out more files than anybody can walk over are refused", async () => {
    const object = objectOf("boom");
    await remote.putObjects([object]);
    const trees = [treeOf(fileOf("f", object, 4))];
    for (let depth = 0; depth < 12; depth++) {
      const { hash } = trees.at(-1)!;
      const names = Array.from({ length: 10 }, (_, index) => `d${index}`);
      trees.push(treeOf(...names.map((name) => ({ kind: "directory" as const, name, hash }))));
    }
    expect(await refusal(remote.putTrees(trees))).toBe("usage");
  });

  test("what two push at once is stored once, without a deadlock", async () => {
    const objects = Array.from({ length: 500 }, (_, index) => objectOf(`shared ${index}`));
    const pushes = [objects, objects.toReversed(), objects, objects.toReversed()];
    const answers = await Promise.all(pushes.map((blobs) => remote.putObjects(blobs)));
    expect(answers.reduce((sum, answer) => sum + answer.objects, 0)).toBe(500);
  });

  test("too many hashes in one request are refused", async () => {
    const objects = Array.from({ length: 16_385 }, () => new Uint8Array(32));
    const request = { repository: "mine", objects, trees: [] };
    expect(await refusal(ann.unary(Push.findMissing, request))).toBe("usage");
    const short = { repository: "mine", objects: [new Uint8Array(31)], trees: [] };
    expect(await refusal(ann.unary(Push.findMissing, short))).toBe("usage");
  });

  test("an object that rots in the store is reported as corrupt", async () => {
    const object = objectOf("this will rot");
    await remote.putObjects([object]);
    const hex = object.hash.toHex();
    const objects = join(server.dataDirectory, "objects");
    const file = readdirSync(objects, { recursive: true }).find((name) =>
      String(name).endsWith(hex),
    );
    const path = join(objects, String(file));
    const read = () => Array.fromAsync(openRemote(ann, "mine").getObjects([object.hash]));
    await Bun.write(path, "rotten");
    expect(await refusal(read())).toBe("corrupt");
    await Bun.file(path).delete();
    expect(await refusal(read())).toBe("corrupt");
    await remote.putObjects([object]);
    expect(await refusal(read())).toBe("nothing");
  });
});
