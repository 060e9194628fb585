/** Objects and trees that a hostile client sends, without any of the client's own code. */
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";

import { sha256 } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import type { BlobPart } from "#gen/pogo/v1/common.ts";
import type { Blob } from "#rpc/blobs.ts";
import {
  chunkEntries,
  codecs,
  directoryEntry,
  fileEntry,
  forgeObject,
  forgeTree,
  linkEntry,
  partOf,
  plainObject,
  tags,
  treeEntry,
  varint,
} from "../support/forge.ts";
import { engines } from "../support/postgres.ts";
import { openRawClient, type RawClient } from "../support/raw-client.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";
import { watchTraces, type Traces } from "../support/traces.ts";

const mib = 1024 * 1024;
const held = plainObject("held");
const child = forgeTree(fileEntry("file", 4, held.hash));
const nowhere = sha256(Buffer.from("nobody has sent this"));

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let raw: RawClient;
  let traces: Traces;
  let before: Record<string, number>;
  beforeAll(async () => {
    server = await startTestServer(engine);
    const channel = server.channel(testRootToken);
    const remote = await createRemote(channel, "target");
    await remote.putObjects([held]);
    await remote.putTrees([child]);
    raw = openRawClient(server.server.url, testRootToken);
    traces = watchTraces(server, [channel]);
  }, 60_000);
  afterAll(async () => {
    raw[Symbol.dispose]();
    await traces[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  // Every test sends what must be refused, whole: nothing may be left of it.
  beforeEach(async () => {
    before = await traces.count();
  });
  afterEach(async () => {
    expect(await traces.count()).toEqual(before);
  });

  async function putParts(kind: "objects" | "trees", ...messages: BlobPart[][]) {
    const requests = messages.map((parts, index) => ({
      repository: index === 0 ? "target" : "",
      parts,
    }));
    if (kind === "trees") return (await raw.clientStream(Push.putTrees, requests)).code;
    return (await raw.clientStream(Push.putObjects, requests)).code;
  }

  /** Sends each, and tells which did not end as they should. */
  async function misjudged(
    kind: "objects" | "trees",
    code: string,
    cases: Record<string, Blob>,
  ): Promise<string[]> {
    const found: string[] = [];
    for (const [name, blob] of Object.entries(cases)) {
      const ended = await putParts(kind, ...inMessages(blob));
      if (ended !== code) found.push(`${name}: ${ended}`);
    }
    return found;
  }

  test("objects that are malformed, or other contents than their hash says, are corrupt", async () => {
    const text = Buffer.from("contents of an object");
    const hash = sha256(text);
    const { length } = text;
    const as = (bytes: Uint8Array): Blob => ({ hash, bytes });
    expect(
      await misjudged("objects", "corrupt", {
        "nothing at all": as(new Uint8Array(0)),
        "less than a header": as(forgeObject(0, length, text).subarray(0, 23)),
        "another magic": as(forgeObject(0, length, text, { magic: "PGO2" })),
        "an unknown codec": as(forgeObject(4, length, text)),
        "a flag": as(forgeObject(0, length, text, { flags: 1 })),
        "reserved bits": as(forgeObject(0, length, text, { reserved: 0x100 })),
        "another checksum": as(forgeObject(0, length, text, { checksum: 1n })),
        "a larger size": as(forgeObject(0, length + 1, text)),
        "a smaller size": as(forgeObject(0, length - 1, text)),
        "the largest size": as(forgeObject(0, 2n ** 64n - 1n, text)),
        "other contents": as(forgeObject(0, length, text.toReversed())),
        "a tree's hash": {
          hash: child.hash,
          bytes: forgeObject(0, child.bytes.length, child.bytes),
        },
        "compressed garbage": as(forgeObject(codecs.zstd, length, text.subarray(1))),
        "deflated garbage": as(forgeObject(codecs.deflate, length, text.subarray(1))),
      }),
    ).toEqual([]);
  });

  test("what would decompress to another size is corrupt, and is not decompressed", async () => {
    const zeros = new Uint8Array(objectBytesMax);
    const hash = sha256(zeros);
    const bomb = new Uint8Array(256 * mib);
    const zstdBomb = Bun.zstdCompressSync(bomb);
    const lyingFrame = Buffer.from(zstdBomb);
    // The frame's own size field, made to agree with the header.
    lyingFrame.writeUInt32LE(objectBytesMax, 5);
    const twoFrames = Buffer.concat([Bun.zstdCompressSync(zeros), zstdBomb]);
    const shorter = new Uint8Array(objectBytesMax - 1);
    const as = (codec: number, size: number, payload: Uint8Array): Blob => {
      return { hash, bytes: forgeObject(codec, size, payload) };
    };
    const residentBefore = process.memoryUsage.rss();
    expect(
      await misjudged("objects", "corrupt", {
        "a zstd bomb": as(codecs.zstd, objectBytesMax, zstdBomb),
        "a zstd bomb that says what it is": as(codecs.zstd, bomb.length, zstdBomb),
        "a zstd bomb that lies twice": as(codecs.zstd, objectBytesMax, lyingFrame),
        "a zstd bomb behind a good frame": as(codecs.zstd, objectBytesMax, twoFrames),
        "a deflate bomb": as(codecs.deflate, objectBytesMax, deflateRawSync(bomb)),
        "too few bytes, zstd": as(codecs.zstd, objectBytesMax, Bun.zstdCompressSync(shorter)),
        "too few bytes, deflate": as(codecs.deflate, objectBytesMax, deflateRawSync(shorter)),
      }),
    ).toEqual([]);
    // The server runs in this process: had it made one of them whole, it would show.
    expect(process.memoryUsage.rss() - residentBefore).toBeLessThan(200 * mib);
  }, 30_000);

  test("chunk lists of chunks that are foreign, missing or of another size are refused", async () => {
    const missing = chunkEntries([
      { hash: nowhere, size: objectBytesMax },
      { hash: held.hash, size: 4 },
    ]);
    const sized = chunkEntries(
      Array.from({ length: 2 }, () => ({ hash: held.hash, size: 4 * mib })),
    );
    const tiny = chunkEntries([{ hash: held.hash, size: 4 }]);
    const none = chunkEntries([{ hash: held.hash, size: 0 }]);
    const huge = chunkEntries([{ hash: held.hash, size: objectBytesMax + 1 }]);
    const list = (size: number | bigint, payload: Uint8Array): Blob => {
      return { hash: sha256(payload), bytes: forgeObject(codecs.chunks, size, payload) };
    };
    expect(
      await misjudged("objects", "not-found", {
        "a chunk that is missing": list(objectBytesMax + 4, missing),
      }),
    ).toEqual([]);
    expect(await misjudged("objects", "usage", { "a list of little": list(4, tiny) })).toEqual([]);
    expect(
      await misjudged("objects", "corrupt", {
        "a chunk of another size": list(8 * mib, sized),
        "another sum": list(9 * mib, sized),
        "an absurd sum": list(2n ** 63n, sized),
        "no chunk": list(0, new Uint8Array(0)),
        "a chunk of nothing": list(0, none),
        "a chunk too large": list(objectBytesMax + 1, huge),
        "half an entry": list(8 * mib, sized.subarray(0, 50)),
      }),
    ).toEqual([]);
  });

  test("trees that are malformed, unsorted or under another hash are corrupt", async () => {
    const { hash } = held;
    const a = fileEntry("a", 4, hash);
    const b = fileEntry("b", 4, hash);
    const trees: Record<string, Blob> = {
      "another hash": { hash: nowhere, bytes: child.bytes },
      "an object's hash": { hash: sha256(child.bytes), bytes: child.bytes },
      "names out of order": forgeTree(b, a),
      "one name twice": forgeTree(a, a),
      "an unknown tag": forgeTree(treeEntry(6, "a", hash)),
      "tag nought": forgeTree(treeEntry(0, "a", hash)),
      "cut off in a hash": forgeTree(a.subarray(0, -1)),
      "cut off in a name": forgeTree(a.subarray(0, 2)),
      "a name longer than the tree": forgeTree(Uint8Array.from([1, 200, 1, 97])),
      "a number that is padded": forgeTree(treeEntry(tags.file, "a", Uint8Array.of(0x84, 0), hash)),
      "a number without end": forgeTree(treeEntry(tags.file, "a", new Uint8Array(20).fill(0xff))),
      "a conflict without sides": forgeTree(treeEntry(tags.conflict, "a", varint(0))),
      "a conflict of thousands": forgeTree(treeEntry(tags.conflict, "a", varint(99_999))),
      "a name that is not UTF-8": forgeTree(fileEntry(Buffer.from([0x66, 0xff]), 4, hash)),
      "a name with half a surrogate": forgeTree(
        fileEntry(Buffer.from([0xed, 0xa0, 0x80]), 4, hash),
      ),
      "an overlong slash": forgeTree(fileEntry(Buffer.from([0xc0, 0xaf]), 4, hash)),
    };
    expect(await misjudged("trees", "corrupt", trees)).toEqual([]);
  });

  test("names that lead elsewhere are corrupt", async () => {
    const names = [
      ..."|.|..|../x|/|/etc/passwd|a/b|..\\x|\\x|\\\\host\\x|a\\..\\..\\x|C:|C:\\x|c:x|a\0b".split(
        "|",
      ),
      ...".pogo|.POGO|.pogo.|.pogo |.po\u200cgo|POGO~1|.pogo\\state.sqlite".split("|"),
      ...".git|.GIT|.git.|.git |.g\u200cit|GIT~1|.git\\hooks|.git::$INDEX_ALLOCATION".split("|"),
      "x".repeat(256),
    ];
    const trees = names.map((name) => [name, forgeTree(fileEntry(name, 4, held.hash))] as const);
    expect(await misjudged("trees", "corrupt", Object.fromEntries(trees))).toEqual([]);
    const targets = ["", "/etc/passwd", "\\x", "C:\\x", "a\0b", "x".repeat(4096)];
    const links = targets.map((target) => [target, forgeTree(linkEntry("l", target))] as const);
    expect(await misjudged("trees", "corrupt", Object.fromEntries(links))).toEqual([]);
  });

  test("trees that name what is not held, or say an untrue size, are refused", async () => {
    const missing = {
      "an object that is missing": forgeTree(fileEntry("a", 4, nowhere)),
      "a tree that is missing": forgeTree(directoryEntry("d", nowhere)),
      "an object in the place of a tree": forgeTree(directoryEntry("d", held.hash)),
      "a tree in the place of an object": forgeTree(fileEntry("a", 4, child.hash)),
    };
    expect(await misjudged("trees", "not-found", missing)).toEqual([]);
    const untrue = { "another size": forgeTree(fileEntry("a", 5, held.hash)) };
    expect(await misjudged("trees", "corrupt", untrue)).toEqual([]);
    const empty = { "an empty directory": forgeTree(directoryEntry("d", forgeTree().hash)) };
    expect(await misjudged("trees", "usage", empty)).toEqual([]);
  });

  test("parts that do not fit together are usage errors", async () => {
    const blob = plainObject("some contents that are cut into parts");
    const first = partOf(blob, { data: blob.bytes.subarray(0, 10) });
    const last = partOf(blob, { offset: 10, data: blob.bytes.subarray(10) });
    const other = partOf(plainObject("others"));
    const cases: Record<string, BlobPart[][]> = {
      "half a blob": [[first]],
      "the second half": [[last]],
      "halves the other way round": [[last, first]],
      "the first half twice": [[first, first]],
      "another blob between": [[first, other, last]],
      "another total": [[first, { ...last, total: blob.bytes.length + 1 }]],
      "more than its total": [[first, { ...last, data: blob.bytes }]],
      "an empty part": [[first, { ...last, data: new Uint8Array(0) }]],
      "a total of a tebibyte": [[{ ...first, total: 2 ** 40 }]],
      "the largest total": [[{ ...first, total: Number.MAX_SAFE_INTEGER }]],
      "a hash of 31 bytes": [[partOf(blob, { hash: blob.hash.subarray(1) })]],
      "a hash of 33 bytes": [
        [partOf(blob, { hash: Buffer.concat([blob.hash, blob.hash.subarray(31)]) })],
      ],
      "no hash": [[partOf(blob, { hash: new Uint8Array(0) })]],
    };
    for (const kind of ["objects", "trees"] as const) {
      const ended: Record<string, string> = {};
      for (const [name, messages] of Object.entries(cases)) {
        ended[name] = await putParts(kind, ...messages);
      }
      expect(new Set(Object.values(ended)), JSON.stringify(ended)).toEqual(new Set(["usage"]));
    }
  });

  test("half a stream leaves nothing of the blob that it ends in", async () => {
    const blob = plainObject("x".repeat(1000));
    const parts = [partOf(blob, { data: blob.bytes.subarray(0, 500) })];
    const ended = await raw.clientStream(Push.putObjects, [{ repository: "target", parts }], {
      reset: true,
    });
    expect(ended.code).toBe("grpc 1");
    const asked = { repository: "target", objects: [blob.hash], trees: [] };
    const { responses } = await raw.unary(Push.findMissing, asked);
    expect(responses).toEqual([{ objects: [0], trees: [], obliterated: [] }]);
  });
});

/** A blob in messages of at most half a mebibyte. */
function inMessages({ hash, bytes }: Blob): BlobPart[][] {
  const messages: BlobPart[][] = [];
  for (let offset = 0; offset === 0 || offset < bytes.length; offset += mib / 2) {
    const data = bytes.subarray(offset, offset + mib / 2);
    messages.push([{ hash, total: bytes.length, offset, data }]);
  }
  return messages;
}
