/** Large files as lists of their chunks: what is checked of one, and which one is kept. */
import { isPogoError, PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { hashesPerRequestMax, objectBytesMax } from "#core/limits.ts";
import { decodeChunkList, decodePart, inspectObject, otherFile, type Chunk } from "#core/object.ts";
import { countKept, findObjects, type ObjectRow } from "../../db/objects.ts";
import { promised } from "../../db/revive.ts";
import type { Parts } from "../calls.ts";

/**
 * Says which list of a file's chunks to keep. A file can be cut in many ways, and the store has one
 * list for all repositories: the one that is there stays, as others hold the chunks that it names,
 * and whoever has sent all of the file may have its chunks, however they are cut. A list whose
 * chunks are not all there any more is in the way, and goes.
 */
export async function chooseChunkList(
  { sql, store }: Parts,
  hash: Hash,
  encoded: Uint8Array,
): Promise<Uint8Array> {
  let existing: Uint8Array;
  try {
    existing = await store.get(hash);
  } catch (error) {
    if (isPogoError(error, "corrupt") || isPogoError(error, "not-found")) return encoded;
    throw error;
  }
  if (Buffer.compare(existing, encoded) === 0) return encoded;
  const chunks = new Map(
    decodeChunkList(existing).map((chunk) => [hashKey(chunk.hash), chunk.hash]),
  );
  if ((await countKept(sql, [...chunks.values()])) === chunks.size) return existing;
  await store.delete(hash);
  return encoded;
}

/** Checks that the repository holds the chunks, and that together they are what the hash names. */
export async function verifyChunkList(
  { sql, store }: Parts,
  repositoryId: number,
  hash: Hash,
  encoded: Uint8Array,
): Promise<void> {
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
  for (let index = 1; index <= chunks.length; index++) {
    const current = await next;
    const following = chunks[index];
    if (following) {
      next = store.get(following.hash);
      next.catch(() => {});
    }
    whole.update(decodePart(current));
  }
  if (equalHashes(whole.digest(), hash)) return;
  throw otherFile(hash);
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
