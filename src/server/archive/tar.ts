/**
 * Writes tar archives (POSIX.1-2001: ustar, with pax records for what does not fit there) as a
 * stream, compressed as frames of zstd that follow one another.
 */
import { decodeChunkList, decodeObject, inspectObject, type Chunk } from "#core/object.ts";
import { gather } from "./gather.ts";
import { readAhead } from "#core/read-ahead.ts";
import { checkSize, heldBytes, readChunks } from "./source.ts";
import type { ArchiveEntry, ArchiveSource } from "./source.ts";

// What is compressed at a time.
const frameBytes = 4 * 1024 * 1024;
const blockBytes = 512;
const nameBytesMax = 100;
const sizeMax = 8 * 1024 ** 3;
const types = { file: "0", symlink: "2", pax: "x" } as const;

type Content = { raw: Uint8Array } | { chunks: Chunk[] };
type Header = { name: Uint8Array; link: Uint8Array; mode: number; size: number; type: string };

/** Writes an archive. */
export async function* tarArchive(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  for await (const frame of gather(tar(source), frameBytes)) yield await Bun.zstdCompress(frame);
}

async function* tar(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  const { time } = source;
  const read = (entry: ArchiveEntry) => readContent(source, entry);
  for await (const { item, value } of readAhead(source.entries(), read, heldBytes)) {
    yield* headers(item, time);
    if (item.kind === "symlink") continue;
    if ("raw" in value) yield value.raw;
    else yield* readChunks(source, value.chunks, (raw) => raw);
    yield padding(item.size);
  }
  yield new Uint8Array(2 * blockBytes);
}

async function readContent({ get }: ArchiveSource, entry: ArchiveEntry): Promise<Content> {
  if (entry.kind === "symlink") return { raw: new Uint8Array(0) };
  const encoded = await get(entry.hash);
  const { codec, rawSize } = inspectObject(encoded);
  checkSize(entry, entry.size, rawSize);
  if (codec === "chunks") return { chunks: decodeChunkList(encoded) };
  return { raw: decodeObject(entry.hash, encoded) };
}

function* headers(entry: ArchiveEntry, time: Date): Generator<Uint8Array> {
  const isFile = entry.kind === "file";
  const name = Buffer.from(entry.path);
  const link = Buffer.from(isFile ? "" : entry.target);
  const size = isFile ? entry.size : 0;
  const records = Buffer.concat([
    ...(fits(name) ? [] : [paxRecord("path", name)]),
    ...(fits(link) ? [] : [paxRecord("linkpath", link)]),
    ...(size < sizeMax ? [] : [paxRecord("size", Buffer.from(String(size)))]),
  ]);
  if (records.length > 0) {
    const pax = { name: Buffer.from("././@PaxHeader"), link: Buffer.alloc(0), mode: 0o644 };
    yield header({ ...pax, size: records.length, type: types.pax }, time);
    yield records;
    yield padding(records.length);
  }
  const mode = isFile && !entry.executable ? 0o644 : isFile ? 0o755 : 0o777;
  yield header({ name, link, mode, size, type: types[entry.kind] }, time);
}

// Outside of ASCII only a pax record says how a name is meant.
function fits(name: Uint8Array): boolean {
  return name.length <= nameBytesMax && name.every((byte) => byte < 0x80);
}

function header({ name, link, mode, size, type }: Header, time: Date): Uint8Array {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number) => {
    block.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
  };
  block.set(name.subarray(0, nameBytesMax), 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size < sizeMax ? size : 0, 124, 12);
  octal(Math.max(0, Math.floor(time.getTime() / 1000)), 136, 12);
  block.write(type, 156, "latin1");
  block.set(link.subarray(0, nameBytesMax), 157);
  block.write("ustar\u000000", 257, "latin1");
  octal(0, 329, 8);
  octal(0, 337, 8);
  // The checksum is that of the block with spaces in its place.
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A record says its own length, digits included. */
function paxRecord(key: string, value: Uint8Array): Uint8Array {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function padding(bytes: number): Uint8Array {
  return new Uint8Array((blockBytes - (bytes % blockBytes)) % blockBytes);
}
