/** Which objects exist, and which repository holds which. Their bytes are the store's. */
import { hashKey, type Hash } from "#core/hash.ts";
import { hashArray, numberArray, type Queries } from "./connect.ts";

export type ObjectRow = { hash: Hash; rawSize: number; storedSize: number };

/** Sizes of those objects that the repository holds, by hash key. */
export async function findObjects(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Map<string, ObjectRow>> {
  if (hashes.length === 0) return new Map();
  const rows = await sql<ObjectRow[]>`
    select o.hash, o.raw_size, o.stored_size
    from repository_objects r join objects o using (hash)
    where r.repository_id = ${repositoryId} and r.hash = any(${hashArray(hashes)}::bytea[])`;
  return new Map(rows.map((row) => [hashKey(row.hash), row]));
}

/** Hash keys of those objects that the repository holds. */
export async function heldObjects(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Set<string>> {
  if (hashes.length === 0) return new Set();
  const rows = await sql<{ hash: Hash }[]>`
    select hash from repository_objects
    where repository_id = ${repositoryId} and hash = any(${hashArray(hashes)}::bytea[])`;
  return new Set(rows.map((row) => hashKey(row.hash)));
}

/**
 * Notes that the repository holds objects whose bytes are durable. Says how many it did not hold
 * before. Rows are inserted in the order of their hashes, so that two pushes that bring the same
 * objects wait for each other instead of locking each other out.
 */
export async function addObjects(
  tx: Queries,
  repositoryId: number,
  objects: readonly ObjectRow[],
): Promise<{ count: number; bytes: number }> {
  const sorted = [...objects].sort((a, b) => Buffer.compare(a.hash, b.hash));
  const hashes = hashArray(sorted.map((object) => object.hash));
  const storedSizes = numberArray(sorted.map((object) => object.storedSize));
  await tx`
    insert into objects (hash, raw_size, stored_size)
    select * from unnest(${hashes}::bytea[],
      ${numberArray(sorted.map((object) => object.rawSize))}::bigint[], ${storedSizes}::bigint[])
    on conflict do nothing`;
  const [added] = await tx<{ count: number; bytes: number }[]>`
    with added as (
      insert into repository_objects (repository_id, hash)
      select ${repositoryId}::bigint, hash from unnest(${hashes}::bytea[]) hash
      on conflict do nothing
      returning hash
    )
    select count(*) as count, coalesce(sum(stored_size), 0)::bigint as bytes
    from added join unnest(${hashes}::bytea[], ${storedSizes}::bigint[]) sent (hash, stored_size)
      using (hash)`;
  return added ?? { count: 0, bytes: 0 };
}
