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

/** Hash keys of those objects that the repository holds, and that were not found damaged. */
export async function heldObjects(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Set<string>> {
  if (hashes.length === 0) return new Set();
  const rows = await sql<{ hash: Hash }[]>`
    select hash from repository_objects held
    where repository_id = ${repositoryId} and hash = any(${hashArray(hashes)}::bytea[])
      and not exists (select 1 from damaged_objects damaged where damaged.hash = held.hash)`;
  return new Set(rows.map((row) => hashKey(row.hash)));
}

/** Notes that the bytes of an object could not be had: it is missing until it is sent again. */
export async function noteDamaged(sql: Queries, hash: Hash): Promise<void> {
  await sql`
    insert into damaged_objects (hash)
    select hash from objects where hash = ${hash}
    on conflict do nothing`;
}

/**
 * Notes that the repository holds objects whose bytes are durable, and damaged no more. Says how
 * many it did not hold before. Rows are inserted in the order of their hashes, so that two pushes
 * that bring the same objects wait for each other instead of locking each other out.
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
  await tx`delete from damaged_objects where hash = any(${hashes}::bytea[])`;
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
