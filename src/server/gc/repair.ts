/**
 * Replaces what is damaged in the store by what is right elsewhere: on another volume, in the
 * cache, in a mirror. What is taken from there is what the object's hash says, whoever had it.
 */
import { isPogoError } from "#core/errors.ts";
import { equalHashes, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { decodeChunkList, decodeObject, encodeChunkList, inspectObject } from "#core/object.ts";
import type { Sql } from "../db/connect.ts";
import { clearDamaged, listChunks } from "../db/verification.ts";
import type { ObjectStore } from "../store/store.ts";

export type Stored = {
  sql: Sql;
  store: ObjectStore;
  /** Where objects lie, each by itself and without a cache; the store, unless said. */
  places?: readonly ObjectStore[];
};

type Row = { hash: Hash; rawSize: number };

/** The places where objects lie. */
export function placesOf({ store, places }: Stored): readonly ObjectStore[] {
  return places ?? [store];
}

/**
 * What is wrong with an encoded object, as a sentence without its subject. Fails where a chunk is
 * that does not answer.
 */
export async function problemOf(
  store: ObjectStore,
  { hash, rawSize }: Row,
  encoded: Uint8Array,
  isHashed: boolean,
): Promise<string | undefined> {
  try {
    const inspected = inspectObject(encoded);
    if (inspected.rawSize !== rawSize) return `has ${inspected.rawSize} bytes, not ${rawSize}`;
    if (!isHashed) return undefined;
    if (inspected.codec !== "chunks") decodeObject(hash, encoded);
    else if (!(await isWholeFile(store, hash, encoded))) return "has chunks of another file";
    return undefined;
  } catch (error) {
    if (isPogoError(error, "unavailable")) throw error;
    return sentence(hash, error);
  }
}

/** What a failure to read an object says of it. */
export function sentence(hash: Hash, error: unknown): string {
  if (!isPogoError(error)) throw error;
  return error.message.replace(`object ${toHex(hash)} `, "");
}

/** Puts an object right, if it is right in one of the sources; says whether it is now. */
export async function repairObject(
  parts: Stored,
  row: Row,
  sources: readonly ObjectStore[],
): Promise<boolean> {
  const { sql, store } = parts;
  const { hash } = row;
  const places = placesOf(parts);
  let encoded: Uint8Array | undefined;
  for (const source of [...places, store, ...sources]) {
    encoded ??= (await look(parts, row, source)).right;
  }
  encoded ??= await listAgain(parts, row);
  if (!encoded) return false;
  // At last the store: it may be in the cache as it is not to be.
  for (const place of [...places, store]) {
    if ((await look(parts, row, place)).isWrong) await place.delete(hash);
  }
  await store.putAll([{ hash, encoded }]);
  if (!(await look(parts, row, store)).right) return false;
  await clearDamaged(sql, hash);
  return true;
}

/** Reads an object somewhere: nothing is known of what does not answer. */
async function look(
  { store }: Stored,
  row: Row,
  source: ObjectStore,
): Promise<{ right?: Uint8Array; isWrong?: boolean }> {
  try {
    const encoded = await source.get(row.hash);
    const problem = await problemOf(store, row, encoded, true);
    return problem === undefined ? { right: encoded } : { isWrong: true };
  } catch (error) {
    if (!isPogoError(error)) throw error;
    return { isWrong: error.code === "corrupt" };
  }
}

/** The list of a large file's chunks, of what the database knows of them. */
async function listAgain({ sql, store }: Stored, row: Row): Promise<Uint8Array | undefined> {
  const chunks = await listChunks(sql, row.hash);
  let size = 0;
  const end = chunks.findIndex((chunk) => (size += chunk.size) === row.rawSize);
  if (end < 0) return undefined;
  const encoded = encodeChunkList(chunks.slice(0, end + 1));
  return (await problemOf(store, row, encoded, true)) === undefined ? encoded : undefined;
}

async function isWholeFile(store: ObjectStore, hash: Hash, encoded: Uint8Array): Promise<boolean> {
  const whole = sha256Stream();
  for (const chunk of decodeChunkList(encoded)) {
    whole.update(decodeObject(chunk.hash, await store.get(chunk.hash)));
  }
  return equalHashes(whole.digest(), hash);
}
