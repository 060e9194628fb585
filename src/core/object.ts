/**
 * An object's encoded form: the wire and the disk carry the same bytes. Numbers are little-endian.
 *
 *   offset 0   magic "PGO1"
 *          4   codec: 0 raw, 1 zstd, 2 deflate (without zlib's wrapper), 3 chunk list, 4 sealed,
 *              5 tombstone
 *          5   flags (1 byte) and reserved (2 bytes): 0
 *          8   raw size: length of the contents that the object's hash names
 *         16   XXH64 of the payload
 *         24   payload
 *
 * Contents of up to `objectBytesMax` are stored whole, under codec 0, 1 or 2. A larger file is a
 * chunk list: 36 bytes a chunk, SHA-256 and size (4 bytes), in the file's order, and each chunk is
 * an object stored whole. Sealed is an object that a store encrypted: its raw size is the length of
 * the encoded object inside, and it never leaves the store that made it.
 * A tombstone is what is sent for contents that were obliterated: its payload says so
 * (placeholder.ts), and its raw size is theirs. None is stored.
 * The XXH64 finds rot and truncation without decompressing; it is no proof of anything. Whoever
 * receives bytes from somebody else decodes them and so checks the SHA-256.
 */
import { inflateRawSync, deflateRawSync } from "node:zlib";
import { PogoError } from "./errors.ts";
import { equalHashes, hashBytes, sha256, toHex, type Hash } from "./hash.ts";
import { chunkListBytesMax, objectBytesMax, placeholderBytesMax } from "./limits.ts";
import { placeholderOf, readPlaceholder, readReason, type Obliterated } from "./placeholder.ts";

export type Codec = "raw" | "zstd" | "deflate" | "chunks" | "sealed" | "tombstone";
export type Chunk = { hash: Hash; size: number };
export type InspectedObject = { codec: Codec; rawSize: number; payload: Uint8Array };

export const objectHeaderBytes = 24;

// What sealing adds: number of the key, nonce and tag.
const sealBytes = 32;

/** No encoded object is longer, sealed or not: a receiver need not gather more. */
export const encodedBytesMax: number =
  2 * objectHeaderBytes + Math.max(objectBytesMax, chunkListBytesMax) + sealBytes;

const codecs: readonly Codec[] = ["raw", "zstd", "deflate", "chunks", "sealed", "tombstone"];
const magic = 0x314f4750; // "PGO1"
const chunkEntryBytes = hashBytes + 4;
const zstdMagic = 0xfd2fb528;
// Below this a compressor's own framing eats what it saves.
const compressBytesMin = 64;
const sampledBytesMin = 512 * 1024;
const sampleCount = 16;
const sampleBytes = 4096;

/** Encodes contents of at most `objectBytesMax`: compressed if that saves a tenth, else raw. */
export function encodeObject(
  raw: Uint8Array,
  codec: "zstd" | "deflate" | "raw" = "zstd",
): Uint8Array {
  if (raw.length > objectBytesMax) throw new Error(`an object of ${raw.length} bytes is too large`);
  if (codec !== "raw" && mayCompress(raw)) {
    const payload = codec === "zstd" ? Bun.zstdCompressSync(raw) : deflateRawSync(raw);
    if (payload.length <= raw.length * 0.9) return assemble(codec, raw.length, payload);
  }
  return assemble("raw", raw.length, raw);
}

/** Puts an object together from its parts, which somebody else sent: `decodeObject` checks them. */
export function encodePayload(
  codec: "raw" | "zstd",
  rawSize: number,
  payload: Uint8Array,
): Uint8Array {
  return assemble(codec, rawSize, payload);
}

/** Encodes the list of the chunks that a large file consists of. */
export function encodeChunkList(chunks: readonly Chunk[]): Uint8Array {
  const payload = Buffer.allocUnsafe(chunks.length * chunkEntryBytes);
  let offset = 0;
  let rawSize = 0;
  for (const { hash, size } of chunks) {
    payload.set(hash, offset);
    payload.writeUInt32LE(size, offset + hashBytes);
    offset += chunkEntryBytes;
    rawSize += size;
  }
  if (payload.length > chunkListBytesMax) throw new Error("a chunk list is too large");
  return assemble("chunks", rawSize, payload);
}

/** Encodes what a store made of an encoded object by encrypting it, in parts. */
export function encodeSealed(encodedBytes: number, ...parts: Uint8Array[]): Uint8Array {
  return assemble("sealed", encodedBytes, ...parts);
}

/** Encodes what is sent for obliterated contents. */
export function encodeTombstone(
  contents: Obliterated,
  why: { reason: string; at: Date },
): Uint8Array {
  return assemble("tombstone", contents.size, placeholderOf(contents, why));
}

/** The text that stands for obliterated contents; nothing when the object is none of these. */
export function decodeTombstone(hash: Hash, encoded: Uint8Array): Uint8Array | undefined {
  if (encoded[4] !== codecs.indexOf("tombstone")) return undefined;
  const { rawSize, payload } = inspectObject(encoded);
  const contents = readPlaceholder(payload);
  if (contents && equalHashes(contents.hash, hash) && contents.size === rawSize) return payload;
  throw malformed("a tombstone of something else");
}

/** Reads the header and checks lengths and checksum, not the hash. The payload is a view. */
export function inspectObject(encoded: Uint8Array): InspectedObject {
  if (encoded.length < objectHeaderBytes) throw malformed("shorter than a header");
  const header = new DataView(encoded.buffer, encoded.byteOffset, objectHeaderBytes);
  const codec = codecs[header.getUint8(4)];
  if (header.getUint32(0, true) !== magic) throw malformed("not one of Pogo's");
  if (codec === undefined || header.getUint8(5) !== 0 || header.getUint16(6, true) !== 0) {
    throw malformed("written by a later version of Pogo, or damaged");
  }
  const rawSize = header.getUint32(8, true) + header.getUint32(12, true) * 2 ** 32;
  const payload = encoded.subarray(objectHeaderBytes);
  checkLengths(codec, rawSize, payload.length);
  if (Bun.hash.xxHash64(payload) !== header.getBigUint64(16, true)) {
    throw malformed("the checksum does not match");
  }
  return { codec, rawSize, payload };
}

/** Decodes contents that are stored whole and checks that they are what the hash names. */
export function decodeObject(hash: Hash, encoded: Uint8Array): Uint8Array {
  // Refuses that of other contents.
  decodeTombstone(hash, encoded);
  const raw = decodePart(encoded);
  if (!equalHashes(sha256(raw), hash)) {
    throw new PogoError("corrupt", `object ${toHex(hash)} has other contents than its hash says`);
  }
  return raw;
}

/** Decodes contents whose hash is checked with that of the file that they are a part of. */
export function decodePart(encoded: Uint8Array): Uint8Array {
  const { codec, rawSize, payload } = inspectObject(encoded);
  if (codec === "tombstone") {
    // No checksum is of the codec: a flipped bit of it must not pass for a tombstone.
    if (!readPlaceholder(payload)) throw malformed("a tombstone that says nothing");
    const message = `these contents were obliterated ${readReason(payload)}`;
    throw new PogoError("obliterated", message);
  }
  const raw = decodePayload(codec, rawSize, payload);
  if (raw.length !== rawSize) throw malformed("the contents have another size than declared");
  return raw;
}

/** The failure to put a file together: what its chunks make up has another hash. */
export function otherFile(hash: Hash): PogoError {
  return new PogoError("corrupt", `the chunks of ${toHex(hash)} make up another file`);
}

/** Decodes a chunk list. That the chunks make up the file is for their receiver to check. */
export function decodeChunkList(encoded: Uint8Array): Chunk[] {
  const { codec, rawSize, payload } = inspectObject(encoded);
  if (codec !== "chunks") throw malformed("not a chunk list");
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const chunks: Chunk[] = [];
  let total = 0;
  for (let offset = 0; offset < payload.length; offset += chunkEntryBytes) {
    const size = view.getUint32(offset + hashBytes, true);
    if (size === 0 || size > objectBytesMax) throw malformed(`a chunk of ${size} bytes`);
    chunks.push({ hash: payload.slice(offset, offset + hashBytes), size });
    total += size;
  }
  if (total !== rawSize) throw malformed("the chunks have another size than declared");
  return chunks;
}

/**
 * Guesses from samples whether compressing is worth trying. Media and archives, most of what is
 * large, do not shrink; finding that out from a sample takes a twentieth of the time.
 */
function mayCompress(raw: Uint8Array): boolean {
  if (raw.length < sampledBytesMin) return raw.length >= compressBytesMin;
  const sample = new Uint8Array(sampleCount * sampleBytes);
  const stride = Math.floor((raw.length - sampleBytes) / (sampleCount - 1));
  for (let index = 0; index < sampleCount; index++) {
    const offset = index * stride;
    sample.set(raw.subarray(offset, offset + sampleBytes), index * sampleBytes);
  }
  return Bun.zstdCompressSync(sample, { level: 1 }).length < sample.length * 0.98;
}

function assemble(codec: Codec, rawSize: number, ...parts: Uint8Array[]): Uint8Array {
  let length = objectHeaderBytes;
  for (const part of parts) length += part.length;
  const encoded = new Uint8Array(length);
  const payload = encoded.subarray(objectHeaderBytes);
  let offset = 0;
  for (const part of parts) {
    payload.set(part, offset);
    offset += part.length;
  }
  const header = new DataView(encoded.buffer);
  header.setUint32(0, magic, true);
  header.setUint8(4, codecs.indexOf(codec));
  header.setUint32(8, rawSize % 2 ** 32, true);
  header.setUint32(12, Math.floor(rawSize / 2 ** 32), true);
  header.setBigUint64(16, Bun.hash.xxHash64(payload), true);
  return encoded;
}

// Before the checksum: what a stranger sent must be bounded before anything is spent on it.
function checkLengths(codec: Codec, rawSize: number, payloadSize: number): void {
  if (codec === "chunks") {
    if (payloadSize > chunkListBytesMax) throw malformed("the chunk list is too long");
    if (payloadSize === 0 || payloadSize % chunkEntryBytes !== 0) {
      throw malformed("the chunk list is cut off");
    }
    if (!Number.isSafeInteger(rawSize)) throw malformed("the declared size is absurd");
    return;
  }
  if (codec === "sealed") {
    if (payloadSize !== rawSize + sealBytes) throw malformed("the sealed contents are cut off");
    return;
  }
  if (codec === "tombstone") {
    if (payloadSize > placeholderBytesMax) throw malformed("the tombstone is too long");
    return;
  }
  if (rawSize > objectBytesMax) throw malformed(`${rawSize} bytes in one piece`);
  // Contents that did not shrink are stored raw, so a compressed payload is shorter.
  if (codec === "raw" ? payloadSize !== rawSize : payloadSize > rawSize) {
    throw malformed("the payload has another size than declared");
  }
}

function decodePayload(
  codec: Exclude<Codec, "tombstone">,
  rawSize: number,
  payload: Uint8Array,
): Uint8Array {
  if (codec === "raw") return payload;
  if (codec === "chunks") throw malformed("a chunk list, where contents were expected");
  if (codec === "sealed") throw malformed("it is encrypted, and only its store can open it");
  if (codec === "zstd") checkZstdFrame(payload, rawSize);
  try {
    return codec === "zstd"
      ? Bun.zstdDecompressSync(payload)
      : inflateRawSync(payload, { maxOutputLength: Math.max(rawSize, 1) });
  } catch (cause) {
    throw malformed("the contents do not decompress", cause);
  }
}

/**
 * Refuses a zstd payload (RFC 8878) unless it is one frame that declares the size we expect:
 * zstd allocates and writes what the frames declare, and a second frame could declare anything.
 */
function checkZstdFrame(payload: Uint8Array, rawSize: number): void {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  try {
    const descriptor = view.getUint8(4);
    const isSingleSegment = (descriptor & 0x20) !== 0;
    // Reserved bit, dictionary: we write neither.
    if (view.getUint32(0, true) !== zstdMagic || (descriptor & 0x0b) !== 0) {
      throw malformed("the contents are not a plain zstd frame");
    }
    const sizeOffset = isSingleSegment ? 5 : 6;
    const sizeFlag = descriptor >> 6;
    if (declaredSize(view, sizeOffset, sizeFlag, isSingleSegment) !== rawSize) {
      throw malformed("the compressed contents declare another size");
    }
    let offset = sizeOffset + (sizeFlag === 0 ? 1 : 2 ** sizeFlag);
    for (let isLast = false; !isLast;) {
      const block = view.getUint16(offset, true) + view.getUint8(offset + 2) * 2 ** 16;
      isLast = (block & 1) === 1;
      const isRunLength = ((block >> 1) & 3) === 1;
      offset += 3 + (isRunLength ? 1 : block >> 3);
    }
    const checksumBytes = (descriptor & 0x04) !== 0 ? 4 : 0;
    if (offset + checksumBytes !== payload.length) throw malformed("more than one zstd frame");
  } catch (error) {
    if (error instanceof RangeError) throw malformed("the compressed contents are cut off", error);
    throw error;
  }
}

function declaredSize(
  view: DataView,
  offset: number,
  flag: number,
  isSingleSegment: boolean,
): number | undefined {
  if (flag === 0) return isSingleSegment ? view.getUint8(offset) : undefined;
  if (flag === 1) return view.getUint16(offset, true) + 256;
  if (flag === 2) return view.getUint32(offset, true);
  return undefined;
}

function malformed(what: string, cause?: unknown): PogoError {
  return new PogoError("corrupt", `malformed object: ${what}`, { cause });
}
