import { inspectObject } from "#core/object.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { toHex, type Hash } from "#core/hash.ts";

/** An object in its encoded form (core/object.ts) and the hash that names it. */
export type StoredObject = { hash: Hash; encoded: Uint8Array };

/**
 * Bytes by hash. A store checks headers and checksums, in and out, so what it returns is what it
 * was given; that the bytes are what the hash names is checked by whoever received them.
 * Failures of the medium are `unavailable`.
 */
export interface ObjectStore extends AsyncDisposable {
  /**
   * Keeps objects: each wholly or not at all, and when this resolves all of them durably. One
   * that is there undamaged is left alone, a damaged one is replaced. Refuses, as corrupt and
   * before anything is kept, what is not an encoded object.
   */
  putAll(objects: readonly StoredObject[]): Promise<void>;
  /** Encoded form of an object; `not-found`, or `corrupt` if it is damaged. */
  get(hash: Hash): Promise<Uint8Array>;
  /** Tells whether an undamaged object is there, at the cost of reading it. */
  has(hash: Hash): Promise<boolean>;
  /** Removes an object; one that is not there is no failure. */
  delete(hash: Hash): Promise<void>;
  /** Hashes of all objects, damaged ones too, unordered. What comes or goes meanwhile may show. */
  list(): AsyncIterable<Hash>;
}

/** How what a store cannot give comes back. */
export const repairHint =
  "pogo push --repair, in a working copy that has the file; or restore the object from a backup";

/** Refuses what is not whole, naming the object. Every store checks with it, in and out. */
export function checkObject(hash: Hash, encoded: Uint8Array): void {
  try {
    inspectObject(encoded);
  } catch (error) {
    if (!isPogoError(error)) throw error;
    const message = `object ${toHex(hash)} is damaged: ${error.message}`;
    throw new PogoError("corrupt", message, { hint: repairHint, cause: error });
  }
}

/** Tells whether `checkObject` would let the object pass. */
export function isWhole(encoded: Uint8Array): boolean {
  try {
    inspectObject(encoded);
    return true;
  } catch (error) {
    if (isPogoError(error, "corrupt")) return false;
    throw error;
  }
}

/** The failure to find an object. */
export function missingObject(hash: Hash): PogoError {
  return new PogoError("not-found", `no object ${toHex(hash)}`);
}
