/**
 * Writes ZIP archives as a stream. An object that is stored as deflate goes in as it is; one that
 * is not compressed is stored, and one of zstd is deflated. A large file is deflated chunk by
 * chunk. The same files of the same time give the same bytes, as long as the objects are stored
 * alike. What is held of a file that was written is four numbers.
 */
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

import { decodeChunkList, decodeObject, inspectObject, type Chunk } from "#core/object.ts";
import { readAhead } from "#core/read-ahead.ts";
import { checkSize, heldBytes, readChunks } from "./source.ts";
import type { ArchiveEntry, ArchiveSource } from "./source.ts";
import { centralHeader, dataDescriptor, endRecords, localHeader } from "./zip-headers.ts";
import type { ZipMember } from "./zip-headers.ts";

const deflate = promisify(deflateRaw);
const { Z_SYNC_FLUSH } = constants;
const stored = 0;
const deflated = 8;
// An empty block that says that it is the last one.
const deflateEnd = Uint8Array.of(3, 0);
// What deflate adds to what does not shrink is far less than the rest up to 4 GiB.
const largeBytesMin = 0xff000000;
const linkMode = 0o120777;
const fileMode = 0o100644;
const executableMode = 0o100755;

type Content =
  | { kind: "whole"; method: number; crc: number; data: Uint8Array }
  | { kind: "chunks"; chunks: Chunk[] };

/** What the directory says of a member, beside what its entry does. */
type Written = Pick<ZipMember, "method" | "crc" | "compressed"> & { offset: number };

/** Writes an archive. */
export async function* zipArchive(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  const { time } = source;
  const written = openRecords();
  let offset = 0;
  const counted = (bytes: Uint8Array): Uint8Array => {
    offset += bytes.length;
    return bytes;
  };
  const read = (entry: ArchiveEntry) => readContent(source, entry);
  for await (const { item, value } of readAhead(source.entries(), read, heldBytes)) {
    const begun = offset;
    const member = memberOf(item, value);
    yield counted(localHeader(member, time));
    if (value.kind === "whole") {
      yield counted(value.data);
    } else {
      for await (const piece of deflatedChunks(source, value.chunks, member)) yield counted(piece);
      yield counted(dataDescriptor(member));
    }
    written.add({ ...member, offset: begun });
  }
  const directory = { count: 0, offset, bytes: 0 };
  for await (const entry of source.entries()) {
    const record = written.get(directory.count++);
    const size = sizeOf(entry);
    const member = { ...record, ...streaming(record.method, size), path: entry.path, size };
    yield counted(centralHeader(member, { offset: record.offset, mode: modeOf(entry) }, time));
  }
  directory.bytes = offset - directory.offset;
  yield endRecords(directory);
}

async function readContent({ get }: ArchiveSource, entry: ArchiveEntry): Promise<Content> {
  if (entry.kind === "symlink") {
    const data = Buffer.from(entry.target);
    return { kind: "whole", method: stored, crc: crc32(data), data };
  }
  const encoded = await get(entry.hash);
  const { codec, rawSize, payload } = inspectObject(encoded);
  checkSize(entry, entry.size, rawSize);
  if (codec === "chunks") return { kind: "chunks", chunks: decodeChunkList(encoded) };
  const raw = decodeObject(entry.hash, encoded);
  const crc = crc32(raw);
  const data = codec === "zstd" ? await deflate(raw) : payload;
  const isStored = codec === "raw" || data.length >= raw.length;
  return isStored
    ? { kind: "whole", method: stored, crc, data: raw }
    : { kind: "whole", method: deflated, crc, data };
}

/** Deflates chunks, each by itself and all to one stream, and notes in the member what it wrote. */
async function* deflatedChunks(
  source: ArchiveSource,
  chunks: readonly Chunk[],
  member: ZipMember,
): AsyncGenerator<Uint8Array> {
  const prepare = async (raw: Uint8Array, encoded: Uint8Array) => {
    // What did not shrink once is not tried again: level 0 only frames it.
    const level = inspectObject(encoded).codec === "raw" ? 0 : -1;
    return { raw, data: await deflate(raw, { level, finishFlush: Z_SYNC_FLUSH }) };
  };
  for await (const { raw, data } of readChunks(source, chunks, prepare)) {
    member.crc = crc32(raw, member.crc);
    member.compressed += data.length;
    yield data;
  }
  member.compressed += deflateEnd.length;
  yield deflateEnd;
}

function memberOf(entry: ArchiveEntry, content: Content): ZipMember {
  const { path } = entry;
  const size = sizeOf(entry);
  if (content.kind === "chunks") {
    return { path, size, crc: 0, compressed: 0, ...streaming(streamedDeflate, size) };
  }
  const { method, crc, data } = content;
  return { path, size, crc, compressed: data.length, ...streaming(method, size) };
}

// How records tell what was streamed from what was not.
const streamedDeflate = -deflated;

function streaming(method: number, size: number) {
  const isStreamed = method < 0;
  return {
    method: Math.abs(method),
    isStreamed,
    isLarge: isStreamed && size >= largeBytesMin,
  };
}

function sizeOf(entry: ArchiveEntry): number {
  return entry.kind === "file" ? entry.size : Buffer.byteLength(entry.target);
}

function modeOf(entry: ArchiveEntry): number {
  if (entry.kind === "symlink") return linkMode;
  return entry.executable ? executableMode : fileMode;
}

/** Numbers of very many members, without an object for each. */
function openRecords() {
  const numbers: number[] = [];
  return {
    add({ method, crc, compressed, offset, isStreamed }: Written & { isStreamed: boolean }): void {
      numbers.push(isStreamed ? -method : method, crc, compressed, offset);
    },
    get(index: number): Written {
      const [method, crc, compressed, offset] = numbers.slice(index * 4, index * 4 + 4);
      if (offset === undefined) throw new Error("what goes into the archive has changed");
      return { method: method!, crc: crc!, compressed: compressed!, offset };
    },
  };
}
