/** Blobs on a stream: cut into parts for messages, put together again within bounds. */
import { PogoError, type ErrorCode } from "#core/errors.ts";
import { equalHashes, toHex, type Hash } from "#core/hash.ts";
import { frameBytes } from "#core/limits.ts";
import type { BlobPart } from "#gen/pogo/v1/common.ts";

/** Bytes that a hash names: an encoded object or tree. */
export type Blob = { hash: Hash; bytes: Uint8Array };

type Blobs = AsyncIterable<Blob> | Iterable<Blob>;

/** Gathers small blobs into messages of some 256 KiB and cuts large ones. */
export async function* toParts(blobs: Blobs): AsyncGenerator<BlobPart[]> {
  let parts: BlobPart[] = [];
  let gathered = 0;
  for await (const { hash, bytes } of blobs) {
    const total = bytes.length;
    for (let offset = 0; offset === 0 || offset < total;) {
      const data = bytes.subarray(offset, offset + frameBytes - Math.min(gathered, frameBytes / 2));
      parts.push({ hash, total, offset, data });
      offset += data.length;
      gathered += data.length + hash.length;
      if (gathered >= frameBytes / 2) {
        yield parts;
        parts = [];
        gathered = 0;
      }
      if (total === 0) break;
    }
  }
  if (parts.length > 0) yield parts;
}

/**
 * Puts blobs together from the parts of messages. A blob larger than the bound, parts out of order
 * or a stream that ends within a blob are usage errors, or another code: what a client got wrong
 * is its usage, and what a server did is not.
 */
export async function* fromParts(
  messages: AsyncIterable<{ parts: BlobPart[] }>,
  bytesMax: number,
  code: ErrorCode = "usage",
): AsyncGenerator<Blob> {
  const malformed = (what: string) => new PogoError(code, `malformed stream: ${what}`);
  let open: { blob: Blob; filled: number } | undefined;
  for await (const { parts } of messages) {
    for (const { hash, total, offset, data } of parts) {
      if (hash.length !== 32) throw malformed("a hash is not of 32 bytes");
      if (total > bytesMax) throw malformed(`${toHex(hash)} is larger than ${bytesMax} bytes`);
      if (open === undefined) {
        if (offset !== 0) throw malformed(`${toHex(hash)} does not begin at 0`);
        if (data.length === total) {
          yield { hash, bytes: data };
          continue;
        }
        open = { blob: { hash, bytes: new Uint8Array(total) }, filled: 0 };
      }
      const { blob, filled } = open;
      const fits =
        equalHashes(hash, blob.hash) &&
        total === blob.bytes.length &&
        offset === filled &&
        data.length > 0 &&
        filled + data.length <= total;
      if (!fits) throw malformed(`parts of ${toHex(blob.hash)} are out of order`);
      blob.bytes.set(data, filled);
      open.filled += data.length;
      if (open.filled < total) continue;
      open = undefined;
      yield blob;
    }
  }
  if (open) throw malformed(`${toHex(open.blob.hash)} is cut off`);
}
