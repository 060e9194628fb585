import { splitChunks } from "#core/chunk.ts";
import { hashKey, sha256, type Hash } from "#core/hash.ts";
import { mergeTextBytesMax, objectBytesMax, putGroupBytes } from "#core/limits.ts";
import type { MergeStore } from "#core/merge.ts";
import {
  decodeChunkList,
  decodeObject,
  encodeChunkList,
  encodeObject,
  inspectObject,
  otherFile,
  type Chunk,
} from "#core/object.ts";
import { decodeTree, type Entry } from "#core/tree.ts";
import { transaction } from "../../db/connect.ts";
import { addObjects, beginPut, type ObjectRow } from "../../db/objects.ts";
import type { Parts } from "../calls.ts";
import { openMergeMemory } from "./merge-memory.ts";

type Pending = { hash: Hash; encoded: Uint8Array; row: ObjectRow };

/** What a merge reads and writes, next to the data. `flush` makes what it wrote durable. */
export function openMergeStore(
  { sql, store }: Parts,
  repositoryId: number,
): MergeStore & { flush(): Promise<void> } {
  const { readTrees } = openMergeMemory(sql, repositoryId);
  let pending = new Map<string, Pending>();
  let pendingBytes = 0;
  let storing: Promise<void> | undefined;

  async function loadTrees(hashes: readonly Hash[]): Promise<Map<string, readonly Entry[]>> {
    const found = new Map<string, readonly Entry[]>();
    for await (const { hash, bytes } of readTrees(hashes))
      found.set(hashKey(hash), decodeTree(bytes));
    return found;
  }

  async function loadObject(hash: Hash): Promise<Uint8Array> {
    return pending.get(hashKey(hash))?.encoded ?? (await store.get(hash));
  }

  async function loadText({ hash, size }: { hash: Hash; size: number }) {
    if (size > mergeTextBytesMax) return undefined;
    const encoded = await loadObject(hash);
    const { codec } = inspectObject(encoded);
    // Of what is obliterated one can only take one side or the other.
    if (codec === "tombstone") return undefined;
    if (codec !== "chunks") return decodeObject(hash, encoded);
    const pieces: Uint8Array[] = [];
    for (const chunk of decodeChunkList(encoded)) {
      pieces.push(decodeObject(chunk.hash, await loadObject(chunk.hash)));
    }
    const whole = Buffer.concat(pieces);
    if (Buffer.compare(sha256(whole), hash) === 0) return whole;
    throw otherFile(hash);
  }

  function add(hash: Hash, encoded: Uint8Array, rawSize: number, chunks?: Chunk[]): void {
    const row: ObjectRow = { hash, rawSize, storedSize: encoded.length };
    if (chunks) row.chunks = chunks.map((chunk) => chunk.hash);
    pending.set(hashKey(hash), { hash, encoded, row });
    pendingBytes += encoded.length;
  }

  async function putText(bytes: Uint8Array): Promise<{ hash: Hash; size: number }> {
    const hash = sha256(bytes);
    if (bytes.length <= objectBytesMax) {
      add(hash, encodeObject(bytes), bytes.length);
    } else {
      const chunks: Chunk[] = [];
      for (const view of splitChunks(readerOf(bytes))) {
        const chunk = { hash: sha256(view), size: view.length };
        add(chunk.hash, encodeObject(view.slice()), chunk.size);
        chunks.push(chunk);
      }
      add(hash, encodeChunkList(chunks), bytes.length, chunks);
    }
    if (pendingBytes >= putGroupBytes) await flush();
    return { hash, size: bytes.length };
  }

  async function flush(): Promise<void> {
    await storing;
    if (pending.size === 0) return;
    const group = pending;
    storing = storeGroup([...group.values()]);
    await storing;
    // What came meanwhile waits for the next time.
    pending = new Map([...pending].filter(([key, object]) => group.get(key) !== object));
    pendingBytes = 0;
    for (const { encoded } of pending.values()) pendingBytes += encoded.length;
    storing = undefined;
  }

  async function storeGroup(objects: Pending[]): Promise<void> {
    const rows = objects.map(({ row }) => row);
    const hashes = rows.map(({ hash }) => hash);
    const begun = await beginPut(sql, hashes);
    for (const hash of begun.damaged) await store.delete(hash);
    await store.putAll(objects);
    await transaction(sql, (tx) => addObjects(tx, repositoryId, rows, begun));
  }

  return { loadTrees, loadText, putText, flush };
}

function readerOf(bytes: Uint8Array): (into: Uint8Array) => number {
  let offset = 0;
  return (into) => {
    const part = bytes.subarray(offset, offset + into.length);
    into.set(part);
    offset += part.length;
    return part.length;
  };
}
