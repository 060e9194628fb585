/**
 * Makes a large file out of its chunks, most of which may be here already: in what an earlier
 * command fetched of it before it was killed, or in older files. Only the rest is fetched. The
 * files that it looks into are not believed: a chunk is copied when its bytes have its hash, and
 * the whole is hashed at the end. One chunk is in memory at a time.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from "node:fs";
import { fchmodSync, unlinkSync, writeSync } from "node:fs";
import { followChunks } from "#core/chunk.ts";
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, sha256, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { chunkBytesMax } from "#core/limits.ts";
import { decodeObject, otherFile, type Chunk } from "#core/object.ts";
import { readAt } from "#native/files.ts";
import { openGarbage } from "../garbage.ts";
import type { CheckoutObserver, ObjectSource } from "./stage.ts";
import { isExecutable } from "./stat.ts";
import { writing } from "./writing.ts";

/** The file to make. */
export type Assembly = {
  /** Absolute path of the unfinished file; what an earlier command left there is gone on with. */
  partial: string;
  /** As people know it. */
  path: string;
  hash: Hash;
  size: number;
  executable: boolean;
  chunks: readonly Chunk[];
};

/** A file that is being put together. */
type Parts = {
  descriptor: number;
  assembly: Assembly;
  /** What is not there yet: where it goes. */
  missing: Map<string, { chunk: Chunk; offsets: number[] }>;
  /** The whole's hash as far as the file was written in order. */
  whole: ReturnType<typeof sha256Stream>;
  hashedBytes: number;
  observer: CheckoutObserver;
  pause(bytes: number): Promise<void>;
};

// Whatever else is under way gets its turn after so much work on files.
const pauseBytes = 16 * 1024 * 1024;

/** Makes the file; `sources` are absolute paths of files that may have some of its chunks. */
export async function assembleFile(
  fetch: ObjectSource,
  assembly: Assembly,
  sources: Iterable<string>,
  observer: CheckoutObserver,
): Promise<void> {
  const { partial, path, hash, size } = assembly;
  const descriptor = writing(path, () => openPartial(assembly));
  try {
    const parts = openParts(descriptor, assembly, observer);
    await keepWritten(parts);
    for (const source of sources) {
      if (parts.missing.size === 0) break;
      await copyFrom(parts, source);
    }
    await fetchMissing(parts, fetch);
    writing(path, () => ftruncateSync(descriptor, size));
    if (!equalHashes(await hashWhole(parts), hash)) {
      unlinkSync(partial);
      throw otherFile(hash);
    }
  } finally {
    closeSync(descriptor);
  }
}

function openPartial({ partial, executable }: Assembly): number {
  const descriptor = openSync(
    partial,
    constants.O_RDWR | constants.O_CREAT,
    executable ? 0o777 : 0o666,
  );
  const { mode } = fstatSync(descriptor);
  // It was begun for another file of the same contents.
  if (process.platform !== "win32" && isExecutable(mode) !== executable) {
    fchmodSync(descriptor, executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111);
  }
  return descriptor;
}

function openParts(descriptor: number, assembly: Assembly, observer: CheckoutObserver): Parts {
  const missing: Parts["missing"] = new Map();
  let offset = 0;
  for (const chunk of assembly.chunks) {
    const known = missing.get(hashKey(chunk.hash));
    if (known) known.offsets.push(offset);
    else missing.set(hashKey(chunk.hash), { chunk, offsets: [offset] });
    offset += chunk.size;
  }
  let worked = 0;
  return {
    descriptor,
    assembly,
    missing,
    whole: sha256Stream(),
    hashedBytes: 0,
    observer,
    async pause(bytes) {
      worked += bytes;
      if (worked < pauseBytes) return;
      worked = 0;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

/** Puts a chunk wherever it belongs, but where it stands already. */
function put(parts: Parts, key: string, bytes: Uint8Array, standsAt?: number): void {
  const { descriptor, assembly, missing, whole, observer } = parts;
  for (const offset of missing.get(key)?.offsets ?? []) {
    if (offset !== standsAt) writing(assembly.path, () => writeAt(descriptor, bytes, offset));
    if (offset === parts.hashedBytes) {
      whole.update(bytes);
      parts.hashedBytes += bytes.length;
    }
    observer.add({ bytes: bytes.length });
  }
  missing.delete(key);
}

/** Finds out what of the file is there. */
async function keepWritten(parts: Parts): Promise<void> {
  const { descriptor, assembly, missing, pause } = parts;
  const { size } = fstatSync(descriptor);
  const buffer = new Uint8Array(size === 0 ? 0 : chunkBytesMax);
  let offset = 0;
  for (const chunk of assembly.chunks) {
    if (offset + chunk.size > size) return;
    const key = hashKey(chunk.hash);
    if (missing.has(key)) {
      const bytes = buffer.subarray(0, readAt(descriptor, buffer.subarray(0, chunk.size), offset));
      if (equalHashes(sha256(bytes), chunk.hash)) put(parts, key, bytes, offset);
      await pause(bytes.length);
    }
    offset += chunk.size;
  }
}

/**
 * Copies what is missing from another file, reading it once from the beginning to the end. Where
 * it goes on like the new file its chunks are known; elsewhere it is cut like any file that is
 * pushed, until it meets the new one again.
 */
async function copyFrom(parts: Parts, source: string): Promise<void> {
  const { assembly, missing, pause } = parts;
  const next = followChunks(assembly.chunks);
  using file = openSource(source);
  for (let offset = 0; missing.size > 0;) {
    const bytes = file?.at(offset);
    if (!bytes || bytes.length === 0) return;
    const { hash, size } = next(bytes);
    const key = hashKey(hash);
    if (missing.has(key)) put(parts, key, bytes.subarray(0, size));
    offset += size;
    await pause(size);
  }
}

async function fetchMissing(parts: Parts, fetch: ObjectSource): Promise<void> {
  const { assembly, missing } = parts;
  const wanted = [...missing.values()].map(({ chunk }) => chunk);
  if (wanted.length === 0) return;
  const garbage = openGarbage();
  let position = 0;
  for await (const { hash, bytes } of fetch(wanted)) {
    const chunk = wanted[position++];
    if (!chunk || !equalHashes(hash, chunk.hash)) throw otherChunks(assembly);
    const contents = decodeObject(hash, bytes);
    if (contents.length !== chunk.size) throw otherChunks(assembly);
    put(parts, hashKey(hash), contents);
    garbage.add(contents.length);
  }
  if (position !== wanted.length) throw otherChunks(assembly);
}

async function hashWhole(parts: Parts): Promise<Hash> {
  const { descriptor, assembly, whole, pause } = parts;
  const buffer = new Uint8Array(parts.hashedBytes === assembly.size ? 0 : chunkBytesMax);
  while (parts.hashedBytes < assembly.size) {
    const count = readAt(descriptor, buffer, parts.hashedBytes);
    if (count === 0) break;
    whole.update(buffer.subarray(0, count));
    parts.hashedBytes += count;
    await pause(count);
  }
  return whole.digest();
}

/** Opens a file to be read in views of one chunk or what is left; nothing if that cannot be. */
function openSource(path: string) {
  // Without O_NONBLOCK a fifo would hang us.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  let descriptor: number;
  try {
    descriptor = openSync(path, flags);
  } catch {
    return undefined;
  }
  if (!fstatSync(descriptor).isFile()) return void closeSync(descriptor);
  const buffer = new Uint8Array(2 * chunkBytesMax);
  let start = 0;
  let end = 0;
  return {
    at(offset: number): Uint8Array {
      if (offset + chunkBytesMax > end) {
        buffer.copyWithin(0, offset - start, end - start);
        try {
          end += readAt(descriptor, buffer.subarray(end - offset), end);
        } catch {
          // What cannot be read is fetched.
        }
        start = offset;
      }
      return buffer.subarray(offset - start, Math.min(end - start, offset - start + chunkBytesMax));
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

function writeAt(descriptor: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, offset + done);
  }
}

function otherChunks({ hash }: Assembly): PogoError {
  return new PogoError("corrupt", `the server sent other chunks of ${toHex(hash)}`);
}
