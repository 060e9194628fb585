import { hashKey, type Hash } from "#core/hash.ts";
import { putGroupBytes, putGroupCount } from "#core/limits.ts";
import { decodeChunkList, decodeObject, encodedBytesMax, inspectObject } from "#core/object.ts";
import type { PutObjectsRequest, PutObjectsResponse } from "#gen/pogo/v1/push.ts";
import { fromParts, type Blob } from "#rpc/blobs.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import { transaction } from "../../db/connect.ts";
import { addObjects, beginPut, type ObjectRow } from "../../db/objects.ts";
import type { Parts } from "../calls.ts";
import { chooseChunkList, verifyChunkList } from "./chunk-lists.ts";
import { openRequests } from "../requests.ts";

type Received = { hash: Hash; encoded: Uint8Array; row: ObjectRow };

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
    for (const hash of begun.damaged) await store.delete(hash);
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
    let encoded = bytes;
    if (codec === "chunks") {
      // Its chunks may stand in the groups that are not stored yet.
      await finish();
      await verifyChunkList({ sql, store }, repositoryId, hash, bytes);
      encoded = await chooseChunkList({ sql, store }, hash, bytes);
      row.storedSize = encoded.length;
      row.chunks = decodeChunkList(encoded).map((chunk) => chunk.hash);
    } else {
      decodeObject(hash, bytes);
    }
    group.set(hashKey(hash), { hash, encoded, row });
    gatheredBytes += encoded.length;
    if (gatheredBytes >= putGroupBytes || group.size >= putGroupCount) await flush();
  }

  return { stored, take, finish };
}
