/** Objects and trees that no client of ours would make, spelled out byte by byte. */
import { sha256, type Hash } from "#core/hash.ts";
import type { BlobPart } from "#gen/pogo/v1/common.ts";
import type { Blob } from "#rpc/blobs.ts";

type Bytes = Uint8Array | string;

export const codecs = { raw: 0, zstd: 1, deflate: 2, chunks: 3 } as const;
export const tags = { file: 1, executable: 2, symlink: 3, directory: 4, conflict: 5 } as const;

/** An encoded object, every field of its header as told. */
export function forgeObject(
  codec: number,
  rawSize: number | bigint,
  payload: Bytes,
  overrides: { magic?: string; flags?: number; reserved?: number; checksum?: bigint } = {},
): Uint8Array {
  const body = Buffer.from(payload as string);
  const encoded = Buffer.alloc(24 + body.length);
  encoded.write(overrides.magic ?? "PGO1", 0, "latin1");
  encoded.writeUInt8(codec, 4);
  encoded.writeUInt8(overrides.flags ?? 0, 5);
  encoded.writeUInt16LE(overrides.reserved ?? 0, 6);
  encoded.writeBigUInt64LE(BigInt(rawSize), 8);
  encoded.writeBigUInt64LE(overrides.checksum ?? Bun.hash.xxHash64(body), 16);
  encoded.set(body, 24);
  return encoded;
}

/** A whole object as it should be, without compression. */
export function plainObject(contents: Bytes): Blob {
  const raw = Buffer.from(contents as string);
  return { hash: sha256(raw), bytes: forgeObject(codecs.raw, raw.length, raw) };
}

/** The payload of a chunk list. */
export function chunkEntries(chunks: readonly { hash: Hash; size: number }[]): Uint8Array {
  return Buffer.concat(
    chunks.flatMap(({ hash, size }) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(size);
      return [hash, length];
    }),
  );
}

/** A number as a tree spells it. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

/** One entry of a tree: tag, name, and the bytes after it. */
export function treeEntry(tag: number, name: Bytes, ...body: Bytes[]): Uint8Array {
  const nameBytes = Buffer.from(name as string);
  const parts = [Uint8Array.from([tag]), varint(nameBytes.length), nameBytes];
  return Buffer.concat([...parts, ...body.map((bytes) => Buffer.from(bytes as string))]);
}

/** A file's entry. */
export function fileEntry(name: Bytes, size: number, hash: Hash): Uint8Array {
  return treeEntry(tags.file, name, varint(size), hash);
}

/** A symlink's entry. */
export function linkEntry(name: Bytes, target: Bytes): Uint8Array {
  const bytes = Buffer.from(target as string);
  return treeEntry(tags.symlink, name, varint(bytes.length), bytes);
}

/** A directory's entry. */
export function directoryEntry(name: Bytes, hash: Hash): Uint8Array {
  return treeEntry(tags.directory, name, hash);
}

/** A tree of entries as they come, under its true hash. */
export function forgeTree(...entries: readonly Uint8Array[]): Blob {
  const bytes = Buffer.concat(entries);
  return { hash: sha256(Buffer.concat([Buffer.from("pogo tree 1\0"), bytes])), bytes };
}

/** A blob in one part, each field as told. */
export function partOf({ hash, bytes }: Blob, overrides: Partial<BlobPart> = {}): BlobPart {
  return { hash, total: bytes.length, offset: 0, data: bytes, ...overrides };
}
