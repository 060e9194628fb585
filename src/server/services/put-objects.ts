import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { hashesPerRequestMax, objectBytesMax } from "#core/limits.ts";
import {
  decodeChunkList,
  decodeObject,
  encodedBytesMax,
  inspectObject,
  type Chunk,
} from "#core/object.ts";
import type { PutObjectsRequest, PutObjectsResponse } from "#gen/pogo/v1/push.ts";
import { fromParts, type Blob } from "#rpc/blobs.ts";
import { requireWrite, type Caller } from "../auth.ts";
import { transaction } from "../db/connect.ts";
import { addObjects, beginPut, findObjects, type ObjectRow } from "../db/objects.ts";
import { promised } from "../db/revive.ts";
import type { Parts } from "./calls.ts";
import { openRequests } from "./requests.ts";

type Received = { hash: Hash; encoded: Uint8Array; row: ObjectRow };

// One group is made durable while the next is received: at most two are in memory.
const groupBytes = 32 * 1024 * 1024;
const groupCount = 4096;

/** Stores what arrives, each object checked, in groups: bytes first, then the rows. */
export async function putObjects(
  parts: Parts,
  requests: AsyncIterable<PutObjectsRequest>,
  caller: Caller | undefined,
): Promise<PutObjectsResponse> {
  const { repository: name, messages } = await openRequests(requests);
  const { repository } = await requireWrite(parts.sql, caller, name);
  const intake = openIntake(parts, repository.repositoryId);
  try {
    for await (const blob of fromParts(messages, encodedBytesMax)) await intake.take(blob);
  } finally {
    // What arrived whole is kept, also when the stream broke.
    await intake.finish();
  }
  return intake.stored;
}

function openIntake({ sql, store }: Parts, repositoryId: number) {
  const stored = { objects: 0, bytes: 0 };
  let group = new Map<string, Received>();
  let gatheredBytes = 0;
  let storing = Promise.resolve();

  async function storeGroup(received: Received[]): Promise<void> {
    if (received.length === 0) return;
    const rows = received.map(({ row }) => row);
    const hashes = rows.map(({ hash }) => hash);
    const begun = await beginPut(sql, hashes);
    await store.putAll(received);
    const added = await transaction(sql, (tx) => addObjects(tx, repositoryId, rows, begun));
    stored.objects += added.count;
    stored.bytes += added.bytes;
  }

  async function flush(): Promise<void> {
    const received = [...group.values()];
    group = new Map();
    gatheredBytes = 0;
    await storing;
    storing = storeGroup(received);
    // Whoever flushes or finishes next is told of the failure.
    storing.catch(() => {});
  }

  async function finish(): Promise<void> {
    await flush();
    await storing;
  }

  async function take({ hash, bytes }: Blob): Promise<void> {
    const { codec, rawSize } = inspectObject(bytes);
    const row: ObjectRow = { hash, rawSize, storedSize: bytes.length };
    if (codec === "chunks") {
      // Its chunks may stand in the groups that are not stored yet.
      await finish();
      row.chunks = await verifyChunkList({ sql, store }, repositoryId, hash, bytes);
    } else {
      decodeObject(hash, bytes);
    }
    group.set(hashKey(hash), { hash, encoded: bytes, row });
    gatheredBytes += bytes.length;
    if (gatheredBytes >= groupBytes || group.size >= groupCount) await flush();
  }

  return { stored, take, finish };
}

/**
 * Checks that the repository holds the chunks, and that together they are what the hash names.
 * Says which they are.
 */
async function verifyChunkList(
  { sql, store }: Parts,
  repositoryId: number,
  hash: Hash,
  encoded: Uint8Array,
): Promise<Hash[]> {
  const chunks = decodeChunkList(encoded);
  if (inspectObject(encoded).rawSize <= objectBytesMax) {
    throw new PogoError("usage", `${toHex(hash)} is small enough to be one object, not chunks`);
  }
  for (let start = 0; start < chunks.length; start += hashesPerRequestMax) {
    const page = chunks.slice(start, start + hashesPerRequestMax);
    const hashes = page.map((chunk) => chunk.hash);
    const held = await promised(sql, repositoryId, hashes, "objects", findObjects);
    for (const chunk of page) checkChunk(hash, chunk, held.get(hashKey(chunk.hash)));
  }
  const whole = sha256Stream();
  let next = store.get(chunks[0]!.hash);
  for (const [index, chunk] of chunks.entries()) {
    const current = await next;
    const following = chunks[index + 1];
    if (following) {
      next = store.get(following.hash);
      next.catch(() => {});
    }
    whole.update(decodeObject(chunk.hash, current));
  }
  if (equalHashes(whole.digest(), hash)) return chunks.map((chunk) => chunk.hash);
  throw new PogoError("corrupt", `the chunks of ${toHex(hash)} make up another file`);
}

function checkChunk(list: Hash, { hash, size }: Chunk, row: ObjectRow | undefined): void {
  if (!row) {
    const message = `chunk ${toHex(hash)} of ${toHex(list)} is not in the repository`;
    throw new PogoError("not-found", message);
  }
  // No object of this size is itself a chunk list: those are all larger.
  if (row.rawSize === size) return;
  throw new PogoError("corrupt", `chunk ${toHex(hash)} has ${row.rawSize} bytes, not ${size}`);
}
