import { expect, setDefaultTimeout, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";

import type { Remote } from "#client/remote.ts";
import { sha256, toHex } from "#core/hash.ts";
import { decodeChunkList, decodeObject, encodeChunkList, encodeObject } from "#core/object.ts";
import { engines, startMs } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { createRemote, startTestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

const { random } = seededRandom(3);
const file = Uint8Array.from({ length: 6_000_000 }, () => random() * 256);
const hash = sha256(file);

/** Sends the file, cut in pieces of a size. */
async function send(remote: Remote, chunkBytes: number): Promise<void> {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < file.length; offset += chunkBytes) {
    pieces.push(file.subarray(offset, offset + chunkBytes));
  }
  const chunks = pieces.map((piece) => ({ hash: sha256(piece), size: piece.length }));
  const blobs = pieces.map((piece) => ({ hash: sha256(piece), bytes: encodeObject(piece) }));
  await remote.putObjects([...blobs, { hash, bytes: encodeChunkList(chunks) }]);
}

/** Fetches the file as a client does. */
async function fetchFile(remote: Remote): Promise<Uint8Array> {
  const [list] = await Array.fromAsync(remote.getObjects([hash]));
  const chunks = decodeChunkList(list!.bytes).map((chunk) => chunk.hash);
  const blobs = await Array.fromAsync(remote.getObjects(chunks));
  return Buffer.concat(blobs.map((blob) => decodeObject(blob.hash, blob.bytes)));
}

test("a file that two repositories cut in two ways is whole in both", async () => {
  await using server = await startTestServer(engines[0]!);
  const ann = await createRemote(await server.user("ann"), "hers");
  const bob = await createRemote(await server.user("bob"), "his");
  await send(ann, 2_000_000);
  await send(bob, 1_500_000);
  for (const remote of [ann, bob]) expect(sha256(await fetchFile(remote))).toEqual(hash);
  // Who has sent the file has it, whoever cuts it again.
  await send(ann, 4_000_000);
  for (const remote of [ann, bob]) expect(sha256(await fetchFile(remote))).toEqual(hash);

  // A list that is gone is replaced by what comes next, which then holds for everybody.
  const name = toHex(hash);
  await rm(join(server.dataDirectory, "objects", name.slice(0, 2), name));
  await send(bob, 3_000_000);
  for (const remote of [ann, bob]) expect(sha256(await fetchFile(remote))).toEqual(hash);
});
