/**
 * A moment of the database as a file, `snapshots/TIME.pogo-backup`:
 *
 *   "pogo backup 1\n"
 *   frames: length of the payload (4 bytes, little-endian), its XXH64 (8), the payload: lines of
 *           JSON, compressed by zstd. The first line says what the others are:
 *             {"head": {…}}    the first frame: whose and of when it is
 *             {"table": NAME}  rows, each a line: see db/dump.ts
 *             {"end": {…}}     the last frame: objects that the server could not give
 *   SHA-256 of all that stands before it (32 bytes)
 *
 * The server sends all but the end, which is written when the objects are there.
 */
import { open, type FileHandle } from "node:fs/promises";

import { PogoError } from "#core/errors.ts";
import { equalHashes, hashBytes, sha256Stream, type Hash } from "#core/hash.ts";
import { snapshotFrameBytesMax } from "#core/limits.ts";
import type { Moment, Rows } from "../db/dump.ts";

export type Head = Omit<Moment, "takenAt"> & { takenAt: string };

/** One frame, read. */
type Frame = { head: Head } | Rows | { end: { lost: string[] } };

const magic = Buffer.from("pogo backup 1\n");
const frameHeaderBytes = 12;

/** Encodes the beginning of a file. */
export async function encodeHead({ takenAt, ...rest }: Moment): Promise<Uint8Array> {
  const head: Head = { takenAt: takenAt.toISOString(), ...rest };
  return Buffer.concat([magic, await encodeFrame([JSON.stringify({ head })])]);
}

/** Encodes rows. */
export async function encodeRows({ table, rows }: Rows): Promise<Uint8Array> {
  return await encodeFrame([JSON.stringify({ table }), ...rows]);
}

/** Encodes the frame that ends a file; the SHA-256 is to follow. */
export async function encodeEnd(lost: readonly Hash[]): Promise<Uint8Array> {
  return await encodeFrame([JSON.stringify({ end: { lost: lost.map((hash) => hash.toHex()) } })]);
}

async function encodeFrame(lines: readonly string[]): Promise<Uint8Array> {
  const payload = await Bun.zstdCompress(lines.join("\n"));
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32LE(payload.length);
  header.writeBigUInt64LE(Bun.hash.xxHash64(payload), 4);
  return Buffer.concat([header, payload]);
}

/** Reads the head of a file. */
export async function readHead(path: string): Promise<Head> {
  for await (const frame of readFrames(path)) {
    if ("head" in frame) return frame.head;
  }
  throw damaged(path, "it has no beginning");
}

/** Reads the rows of a file, of one table or of all; its end need not be there yet. */
export async function* readRows(path: string, table?: string): AsyncGenerator<Rows> {
  for await (const frame of readFrames(path)) {
    if ("table" in frame && (table === undefined || frame.table === table)) yield frame;
  }
}

/** Reads a column of bytes as rows spell it. */
export function readBytea(value: unknown): Uint8Array {
  return Uint8Array.fromHex(String(value).replace("\\x", ""));
}

/** Reads a whole file to see that it is whole; returns what its end says. */
export async function verifySnapshot(path: string): Promise<{ lost: Hash[] }> {
  for await (const frame of readFrames(path)) {
    if ("end" in frame) return { lost: frame.end.lost.map((hex) => Uint8Array.fromHex(hex)) };
  }
  throw damaged(path, "it is cut off");
}

/** Reads frames one after the other; before it gives the end, it has checked all of the file. */
async function* readFrames(path: string): AsyncGenerator<Frame> {
  await using file = await open(path, "r");
  const hasher = sha256Stream();
  const take = async (length: number) => {
    const bytes = await readBytes(file, length);
    hasher.update(bytes);
    return bytes;
  };
  if (!(await take(magic.length)).equals(magic)) throw damaged(path, "it does not begin as one");
  for (;;) {
    const header = await take(frameHeaderBytes);
    // The end is still to be written.
    if (header.length === 0) return;
    const length = header.length < frameHeaderBytes ? 0 : header.readUInt32LE();
    const payload = length > snapshotFrameBytesMax ? Buffer.alloc(0) : await take(length);
    if (length === 0 || payload.length !== length) throw damaged(path, "it is cut off");
    if (Bun.hash.xxHash64(payload) !== header.readBigUInt64LE(4)) {
      throw damaged(path, "a checksum does not match");
    }
    const frame = parseFrame((await Bun.zstdDecompress(payload)).toString());
    if ("end" in frame) {
      const digest = await readBytes(file, hashBytes + 1);
      if (digest.length !== hashBytes || !equalHashes(digest, hasher.digest())) {
        throw damaged(path, "its SHA-256 does not match");
      }
    }
    yield frame;
    if ("end" in frame) return;
  }
}

function parseFrame(text: string): Frame {
  const [first = "", ...rows] = text.split("\n");
  const said = JSON.parse(first) as Frame;
  return "table" in said ? { table: said.table, rows } : said;
}

/** Reads so many bytes; fewer at the end of the file. */
async function readBytes(file: FileHandle, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function damaged(path: string, what: string): PogoError {
  return new PogoError("corrupt", `${path} is damaged: ${what}`, {
    hint: "restore another snapshot with --snapshot; see what is there with pogo backup --verify",
  });
}
