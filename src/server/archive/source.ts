/** What archives are made of. Who makes one gets it from the database and the object store. */
import { PogoError } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { decodeObject, type Chunk } from "#core/object.ts";
import { readAhead } from "#core/read-ahead.ts";

export type ArchiveEntry = { path: string } & (
  | { kind: "symlink"; target: string }
  | { kind: "file"; executable: boolean; size: number; hash: Hash }
);

export type ArchiveSource = {
  /** Lists what goes in: the same in the same order each time. */
  entries(): AsyncIterable<ArchiveEntry>;
  /** Reads an object in its encoded form. */
  get(hash: Hash): Promise<Uint8Array>;
  /** When all of it was last modified. */
  time: Date;
};

/** What an entry takes in memory at most: of a large file, one chunk at a time. */
export function heldBytes(entry: ArchiveEntry): number {
  return entry.kind === "file" ? Math.min(entry.size, objectBytesMax) : 0;
}

/** Reads the chunks of a large file, in order; `prepare` has several of them at a time. */
export async function* readChunks<T>(
  { get }: ArchiveSource,
  chunks: readonly Chunk[],
  prepare: (raw: Uint8Array, encoded: Uint8Array) => T | Promise<T>,
): AsyncGenerator<T> {
  const read = async ({ hash }: Chunk) => {
    const encoded = await get(hash);
    return await prepare(decodeObject(hash, encoded), encoded);
  };
  for await (const { value } of readAhead(chunks, read, ({ size }) => size)) yield value;
}

/** Refuses contents that are of another size than their tree says: headers come first. */
export function checkSize({ path }: ArchiveEntry, said: number, found: number): void {
  if (said === found) return;
  const message = `${JSON.stringify(path)} has another size than its tree says`;
  throw new PogoError("corrupt", message);
}
