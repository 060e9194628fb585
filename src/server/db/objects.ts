/** Which objects exist, and which repository holds which. Their bytes are the store's. */
import { PogoError } from "#core/errors.ts";
import { hashKey, type Hash } from "#core/hash.ts";
import { putMsMax } from "#core/limits.ts";
import { hashArray, numberArray, type Queries } from "./connect.ts";
import { refuseObliterated } from "./obliterated.ts";
import { lockHoldings } from "./revive.ts";
import { lockQuota, requireRoom } from "./usage.ts";
import { noteAdded } from "./walks.ts";

export type ObjectRow = {
  hash: Hash;
  rawSize: number;
  storedSize: number;
  /** Hashes of what a large file consists of. */
  chunks?: readonly Hash[];
};

/** An object that a repository holds, and is about to let go of unless somebody wants it. */
export type HeldObject = ObjectRow & { isCondemned: boolean; isObliterated: boolean };

/** Sizes of those objects that the repository holds, by hash key. */
export async function findObjects(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Map<string, HeldObject>> {
  if (hashes.length === 0) return new Map();
  const rows = await sql<HeldObject[]>`
    select o.hash, o.raw_size, o.stored_size, r.condemned_at is not null as is_condemned,
      exists (select 1 from obliterated_objects t where t.hash = o.hash) as is_obliterated
    from repository_objects r join objects o using (hash)
    where r.repository_id = ${repositoryId} and r.hash = any(${hashArray(hashes)}::bytea[])`;
  return new Map(rows.map((row) => [hashKey(row.hash), row]));
}

/**
 * Those objects that the repository holds, and that were not found damaged, by hash key; whether
 * it is about to let go of them.
 */
export async function heldObjects(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Map<string, { isCondemned: boolean }>> {
  if (hashes.length === 0) return new Map();
  const rows = await sql<{ hash: Hash; isCondemned: boolean }[]>`
    select hash, condemned_at is not null as is_condemned from repository_objects held
    where repository_id = ${repositoryId} and hash = any(${hashArray(hashes)}::bytea[])
      and not exists (select 1 from damaged_objects damaged where damaged.hash = held.hash)`;
  return new Map(rows.map((row) => [hashKey(row.hash), row]));
}

/** What objects take up in the store, by hash key. */
export async function findStored(
  sql: Queries,
  hashes: readonly Hash[],
): Promise<Map<string, number>> {
  const rows = await sql<{ hash: Hash; storedSize: number }[]>`
    select hash, stored_size from objects where hash = any(${hashArray(hashes)}::bytea[])`;
  return new Map(rows.map(({ hash, storedSize }) => [hashKey(hash), storedSize]));
}

/** Counts those objects that are there and are not about to be deleted from the store. */
export async function countKept(sql: Queries, hashes: readonly Hash[]): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*) as count from objects
    where hash = any(${hashArray(hashes)}::bytea[]) and doomed_at is null`;
  return row?.count ?? 0;
}

/** Notes that the bytes of an object could not be had: it is missing until it is sent again. */
export async function noteDamaged(sql: Queries, hash: Hash): Promise<void> {
  await sql`
    insert into damaged_objects (hash)
    select hash from objects where hash = ${hash}
    on conflict do nothing`;
}

/**
 * Begins to put objects: what was about to be deleted from the store is not, or is deleted
 * already when this answers. What is put must be added within the time that is left then. Of what
 * is damaged there may be something in the store that looks whole: that has to go first.
 */
export async function beginPut(
  sql: Queries,
  hashes: readonly Hash[],
): Promise<{ untilMs: number; damaged: Hash[] }> {
  const begunMs = Date.now();
  await refuseObliterated(sql, hashes);
  // Ordered, so that it is one look into the index of the few that there are.
  const [doomed] = await sql`
    select 1 from objects where doomed_at is not null order by doomed_at limit 1`;
  if (doomed) {
    // It waits for whoever deletes one of them, which is done when the row is gone.
    await sql`
      delete from objects
      where hash = any(${hashArray(hashes)}::bytea[]) and doomed_at is not null`;
  }
  const damaged = await sql<{ hash: Hash }[]>`
    select hash from damaged_objects where hash = any(${hashArray(hashes)}::bytea[])`;
  return { untilMs: begunMs + putMsMax, damaged: damaged.map(({ hash }) => hash) };
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
  { untilMs }: { untilMs: number },
): Promise<{ count: number; bytes: number }> {
  if (Date.now() > untilMs) {
    throw new PogoError("unavailable", "it took too long to store objects", {
      hint: "run the command again",
    });
  }
  const sorted = [...objects].sort((a, b) => Buffer.compare(a.hash, b.hash));
  const hashes = hashArray(sorted.map((object) => object.hash));
  const storedSizes = numberArray(sorted.map((object) => object.storedSize));
  await refuseObliterated(
    tx,
    sorted.map(({ hash }) => hash),
  );
  await lockQuota(tx, repositoryId);
  await tx`
    insert into objects (hash, raw_size, stored_size)
    select * from unnest(${hashes}::bytea[],
      ${numberArray(sorted.map((object) => object.rawSize))}::bigint[], ${storedSizes}::bigint[])
    on conflict (hash) do update
    set raw_size = excluded.raw_size, stored_size = excluded.stored_size, doomed_at = null
    where objects.doomed_at is not null`;
  await addChunks(tx, repositoryId, sorted);
  await tx`delete from damaged_objects where hash = any(${hashes}::bytea[])`;
  const [added] = await tx<{ count: number; bytes: number }[]>`
    with added as (
      insert into repository_objects (repository_id, hash)
      select ${repositoryId}::bigint, hash from unnest(${hashes}::bytea[]) hash
      on conflict (repository_id, hash) do update set condemned_at = null
      where repository_objects.condemned_at is not null
      returning hash
    )
    select count(*) as count, coalesce(sum(stored_size), 0)::bigint as bytes
    from added join unnest(${hashes}::bytea[], ${storedSizes}::bigint[]) sent (hash, stored_size)
      using (hash)`;
  if (!added || added.count === 0) return { count: 0, bytes: 0 };
  await requireRoom(tx, repositoryId);
  return added;
}

/**
 * Notes what large files consist of. Whoever holds a file has sent all of it, so it may have all of
 * its chunks, also where somebody else has cut it in another way: the store has one list of them.
 */
async function addChunks(
  tx: Queries,
  repositoryId: number,
  objects: readonly ObjectRow[],
): Promise<void> {
  const lists = objects.filter((object) => object.chunks !== undefined);
  if (lists.length === 0) return;
  const listHashes = lists.map(({ hash }) => hash);
  const hashes = hashArray(listHashes);
  await lockHoldings(tx, repositoryId, "add");
  await noteAdded(tx, repositoryId, "object", listHashes);
  await tx`
    insert into object_chunks (hash, chunks)
    select * from unnest(${hashes}::bytea[],
      ${hashArray(lists.map(({ chunks = [] }) => Buffer.concat(chunks)))}::bytea[])
    on conflict (hash) do update set chunks = object_chunks.chunks || excluded.chunks
    where position(excluded.chunks in object_chunks.chunks) = 0`;
  await tx`
    insert into repository_objects (repository_id, hash)
    select distinct r.repository_id, o.hash
    from object_chunks c
    join repositories r on r.repository_id = ${repositoryId} or exists (
      select 1 from repository_objects held
      where held.repository_id = r.repository_id and held.hash = c.hash)
    cross join lateral generate_series(1, octet_length(c.chunks), 32) at
    join objects o on o.hash = substring(c.chunks from at for 32) and o.doomed_at is null
    where c.hash = any(${hashes}::bytea[])
    order by r.repository_id, o.hash
    on conflict (repository_id, hash) do update set condemned_at = null
    where repository_objects.condemned_at is not null`;
}
