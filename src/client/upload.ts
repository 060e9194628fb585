/**
 * Sends the contents of files to a repository. Each file is read once: a batch is read and hashed,
 * the server says what of it is missing, and that is compressed and sent while the next batch is
 * read. A file that is too large to hold goes chunk by chunk, then the list of its chunks; the
 * chunks that are missing are read again.
 */
import { followChunks, splitChunks } from "#core/chunk.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey, sha256, sha256Stream, type Hash } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { decodeChunkList, encodeChunkList, encodeObject, type Chunk } from "#core/object.ts";
import { readPlaceholder } from "#core/placeholder.ts";
import type { Blob } from "#rpc/blobs.ts";
import { openGarbage } from "./garbage.ts";
import type { Remote } from "./remote.ts";
import {
  openWorkingFile,
  readWorkingFile,
  readWorkingPart,
  type HashedFile,
} from "./working-copy/read.ts";
import { equalStats } from "./working-copy/stat.ts";

/** What an upload tells of itself as it goes. */
export type UploadObserver = { add(amount: { files?: number; bytes?: number }): void };

/**
 * A file to send. What is found out by reading it is filled in. Of a file that stands as it was
 * when it was hashed the hash is believed.
 */
export type UploadFile = {
  path: string;
  file: Omit<HashedFile, "hash"> & { hash: Hash | undefined };
  /** What the file was, if the repository may hold that. */
  before?: { hash: Hash; size: number } | undefined;
};

export type UploadResult = {
  /** What the repository did not hold. */
  objects: number;
  /** Encoded, as sent. */
  bytes: number;
};

type Item = {
  path: string;
  hash: Hash;
  size: number;
  /** The list of a large file's chunks, which is no content by itself. */
  isList?: boolean;
  /** A chunk of what the file was, which the repository holds unless it has lost it. */
  wasThere?: boolean;
  encode(): Uint8Array;
};

/** What files are read with. */
type Reading = { root: string; known: Map<string, readonly Chunk[]> };

// Of files of so many bytes altogether the chunks are held: some 100,000.
const followedBytesMax = 64 * 2 ** 30;

// Bounds what is in memory: one batch being sent, one being read. While one is read nothing is
// sent, which of chunks that were there is no loss.
const batchBytes = 8 * 1024 * 1024;
const batchCount = 2048;
const batchesThere = 8;

/** Sends what the repository lacks of the files' contents. */
export async function uploadFiles(
  { remote, root }: { remote: Remote; root: string },
  files: readonly UploadFile[],
  observer: UploadObserver,
): Promise<UploadResult> {
  const result: UploadResult = { objects: 0, bytes: 0 };
  const known = await knownChunks(remote, files);
  const sized = async (room: number) => {
    const most = files.reduce((sum, { file }) => sum + file.size, 0);
    if (most > room) await requireRoom({ remote, root, known }, files);
  };
  const items = readItems({ root, known }, files, observer);
  const missing = ahead(missingItems(remote, items, sized));
  const first = await missing.next();
  if (first.done) return result;
  const garbage = openGarbage();
  async function* encoded(batch: Item[]): AsyncGenerator<Blob> {
    for (let items: Item[] | undefined = batch; items;) {
      for (const { hash, encode } of items) {
        const bytes = encode();
        result.objects += 1;
        result.bytes += bytes.length;
        yield { hash, bytes };
      }
      garbage.add(items.reduce((sum, { size }) => sum + size, 0));
      const next = await missing.next();
      items = next.done ? undefined : next.value;
    }
  }
  await remote.putObjects(encoded(first.value));
  return result;
}

/** The chunks that large files consisted of, by key of their hash. To know none costs time only. */
async function knownChunks(
  remote: Remote,
  files: readonly UploadFile[],
): Promise<Reading["known"]> {
  const known: Reading["known"] = new Map();
  const wanted = new Map<string, Hash>();
  let bytes = 0;
  for (const { file, before } of files) {
    if (!before || Math.min(before.size, file.size) <= objectBytesMax) continue;
    if ((bytes += before.size) > followedBytesMax) break;
    wanted.set(hashKey(before.hash), before.hash);
  }
  try {
    for await (const object of remote.getObjects([...wanted.values()])) {
      known.set(hashKey(object.hash), decodeChunkList(object.bytes));
    }
  } catch (error) {
    // The repository has lost one, or somebody has had it obliterated.
    if (!isPogoError(error)) throw error;
  }
  return known;
}

/**
 * Has the server refuse what it has no room for before anything is sent. All files are read for
 * it: only then is it known what of them is missing.
 */
async function requireRoom(
  { remote, root, known }: { remote: Remote } & Reading,
  files: readonly UploadFile[],
): Promise<void> {
  let bytes = 0;
  // They are read again to be sent, and may be others by then.
  const copies = files.map((entry) => ({ ...entry, file: { ...entry.file } }));
  const read = readItems({ root, known }, copies, { add() {} });
  for await (const items of missingItems(remote, read)) {
    for (const { size, isList } of items) if (!isList) bytes += size;
  }
  await remote.findMissing([], [], bytes);
}

/** Reads files in order and yields what they consist of, a list of chunks after its chunks. */
function* readItems(
  { root, known }: Reading,
  files: Iterable<UploadFile>,
  observer: UploadObserver,
): Generator<Item> {
  for (const { path, file, before } of files) {
    const chunks = (before && known.get(hashKey(before.hash))) ?? [];
    const readLarge = () => readChunks({ root, chunks }, path, file, observer);
    if (file.size > objectBytesMax) {
      yield* readLarge();
    } else {
      const { bytes, stat, executable } = readWorkingFile(root, path);
      if (bytes.length > objectBytesMax) {
        // It grew since it was scanned.
        yield* readLarge();
      } else {
        const contents = readPlaceholder(bytes);
        const hash = contents?.hash ?? sha256(bytes);
        Object.assign(file, { hash, size: contents?.size ?? bytes.length, stat, executable });
        // There is nothing to send of what is obliterated.
        if (!contents) yield { path, hash, size: bytes.length, encode: () => encodeObject(bytes) };
        observer.add({ bytes: bytes.length });
      }
    }
    observer.add({ files: 1 });
  }
}

function* readChunks(
  { root, chunks: known }: { root: string; chunks: readonly Chunk[] },
  path: string,
  file: UploadFile["file"],
  observer: UploadObserver,
): Generator<Item> {
  using opened = openWorkingFile(root, path);
  const { size, stat, executable } = opened;
  const isHashed = file.hash !== undefined && equalStats(file.stat, 0, stat, 0);
  const whole = isHashed ? undefined : sha256Stream();
  const chunks: Chunk[] = [];
  const next = followChunks(known);
  const before = new Set(known.map((chunk) => hashKey(chunk.hash)));
  const lengthOf = (bytes: Uint8Array) => {
    const chunk = next(bytes);
    chunks.push(chunk);
    return chunk.size;
  };
  let offset = 0;
  for (const { length } of splitChunks(hashedReader(opened.pieces(), whole), lengthOf)) {
    const { hash } = chunks.at(-1)!;
    const part = { offset, length };
    const encode = () => encodeObject(readWorkingPart(root, path, stat, part));
    yield { path, hash, size: length, wasThere: before.has(hashKey(hash)), encode };
    offset += length;
    observer.add({ bytes: length });
  }
  const hash = whole ? whole.digest() : file.hash!;
  Object.assign(file, { hash, size, stat, executable });
  if (size > objectBytesMax) {
    const listed = chunks.length * 40;
    yield { path, hash, size: listed, isList: true, encode: () => encodeChunkList(chunks) };
    return;
  }
  // It shrank since it was scanned, and must be one object.
  const { bytes } = readWorkingFile(root, path);
  yield { path, hash, size, encode: () => encodeObject(bytes) };
}

function hashedReader(
  pieces: Iterator<Uint8Array>,
  whole: { update(bytes: Uint8Array): void } | undefined,
): (into: Uint8Array) => number {
  let rest = new Uint8Array(0);
  return (into) => {
    if (rest.length === 0) {
      const next = pieces.next();
      if (next.done) return 0;
      rest = next.value as Uint8Array<ArrayBuffer>;
      whole?.update(rest);
    }
    const taken = rest.subarray(0, into.length);
    into.set(taken);
    rest = rest.subarray(taken.length);
    return taken.length;
  };
}

/**
 * Yields, batch by batch, those items that the repository lacks, each once. Before the first of
 * them it tells how many bytes the repository has room for, if that is limited.
 */
async function* missingItems(
  remote: Remote,
  items: Iterable<Item>,
  tellRoom?: (room: number) => Promise<void>,
): AsyncGenerator<Item[]> {
  let isTold = false;
  const seen = new Set<string>();
  let batch: Item[] = [];
  let gathered = 0;
  const ask = async () => {
    const asked = batch;
    batch = [];
    gathered = 0;
    const hashes = asked.map(({ hash }) => hash);
    const missing = await remote.findMissing(hashes, []);
    const refused = asked[missing.obliterated[0] ?? -1];
    if (refused) throw obliterated(refused);
    if (!isTold && missing.room !== undefined) await tellRoom?.(missing.room);
    isTold = true;
    return missing.objects.map((index) => asked[index]).filter((item) => item !== undefined);
  };
  for (const item of items) {
    const key = hashKey(item.hash);
    if (seen.has(key)) continue;
    seen.add(key);
    batch.push(item);
    gathered += item.wasThere ? item.size / batchesThere : item.size;
    if (gathered < batchBytes && batch.length < batchCount) continue;
    const missing = await ask();
    if (missing.length > 0) yield missing;
  }
  if (batch.length === 0) return;
  const missing = await ask();
  if (missing.length > 0) yield missing;
}

function obliterated({ path }: Item): PogoError {
  const message = `the contents of ${JSON.stringify(path)} were obliterated, and cannot come back`;
  return new PogoError("obliterated", message, {
    hint: "remove the file, or list it in .pogoignore; pogo cat of an earlier change says why",
  });
}

/** Prepares the next value while the consumer works on the one before. */
async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next();
  while (true) {
    const { done, value } = await next;
    if (done) return;
    next = source.next();
    // Its failure is told when it is asked for.
    next.catch(() => {});
    yield value;
  }
}
