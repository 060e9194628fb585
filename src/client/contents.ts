/** Contents of files by hash, from the server, verified. */
import { equalHashes, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import {
  decodeChunkList,
  decodeObject,
  decodeTombstone,
  inspectObject,
  otherFile,
} from "#core/object.ts";
import type { Remote } from "./remote.ts";

// Chunks of one request: enough for a stream, few enough to stop early.
const chunksPerRequest = 64;

/** Yields the contents of one file, piece by piece; a piece is at most one object. */
export async function* readContents(remote: Remote, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of remote.getObjects([hash])) yield* expand(remote, hash, bytes);
}

/** As `readContents`, but for what is obliterated the text that stands for it. */
export async function* readStanding(remote: Remote, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of remote.getObjects([hash])) {
    const placeholder = decodeTombstone(hash, bytes);
    if (placeholder) yield placeholder;
    else yield* expand(remote, hash, bytes);
  }
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(pieces));
}

/** Yields the contents that an encoded object stands for; of a list, those of its chunks. */
async function* expand(
  remote: Remote,
  hash: Hash,
  encoded: Uint8Array,
): AsyncGenerator<Uint8Array> {
  if (inspectObject(encoded).codec !== "chunks") {
    yield decodeObject(hash, encoded);
    return;
  }
  const chunks = decodeChunkList(encoded);
  const whole = sha256Stream();
  for (let start = 0; start < chunks.length; start += chunksPerRequest) {
    const page = chunks.slice(start, start + chunksPerRequest).map((chunk) => chunk.hash);
    for await (const blob of remote.getObjects(page)) {
      const piece = decodeObject(blob.hash, blob.bytes);
      whole.update(piece);
      yield piece;
    }
  }
  if (!equalHashes(whole.digest(), hash)) {
    throw otherFile(hash);
  }
}

/**
 * Fetches whole files of at most `bytesMax`, by key of their hash; larger ones are left out. For
 * those that are obliterated, there is the text that says so.
 */
export async function readWholeContents(
  remote: Remote,
  wanted: { hash: Hash; size: number }[],
  bytesMax: number,
): Promise<(hash: Hash) => Uint8Array | undefined> {
  const contents = new Map<string, Uint8Array>();
  const hashes = wanted.filter(({ size }) => size <= bytesMax).map(({ hash }) => hash);
  for await (const { hash, bytes } of remote.getObjects(hashes)) {
    const whole = decodeTombstone(hash, bytes) ?? (await gather(expand(remote, hash, bytes)));
    contents.set(toHex(hash), whole);
  }
  return (hash) => contents.get(toHex(hash));
}
