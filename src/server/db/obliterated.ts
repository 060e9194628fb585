/** Contents that were deleted for good: what was deleted, why, and what must not come back. */
import { PogoError } from "#core/errors.ts";
import { hashBytes, toHex, type Hash } from "#core/hash.ts";
import { hashArray, type Queries } from "./connect.ts";
import { lockHoldings } from "./revive.ts";

export type Tombstone = { hash: Hash; rawSize: number; reason: string; obliteratedAt: Date };

export type BringingVersion = {
  object: Hash;
  repository: string;
  path: string;
  change: string;
  version: number;
};

/** Those of some contents that were obliterated. */
export async function findTombstones(sql: Queries, hashes: readonly Hash[]): Promise<Tombstone[]> {
  if (hashes.length === 0) return [];
  return await sql<Tombstone[]>`
    select hash, raw_size, reason, obliterated_at from obliterated_objects
    where hash = any(${hashArray(hashes)}::bytea[])`;
}

/** All contents that were obliterated: few, as somebody did each by hand. */
export async function listObliterated(sql: Queries): Promise<Hash[]> {
  const rows = await sql<{ hash: Hash }[]>`select hash from obliterated_objects`;
  return rows.map(({ hash }) => hash);
}

/** Contents that were obliterated within so many milliseconds. */
export async function listTombstones(sql: Queries, ageMs: number): Promise<Tombstone[]> {
  return await sql<Tombstone[]>`
    select hash, raw_size, reason, obliterated_at from obliterated_objects
    where obliterated_at > now() - ${ageMs} * interval '1 millisecond'`;
}

/** Refuses contents that were obliterated. */
export async function refuseObliterated(sql: Queries, hashes: readonly Hash[]): Promise<void> {
  const [found] = await findTombstones(sql, hashes);
  if (!found) return;
  const date = found.obliteratedAt.toISOString().slice(0, 10);
  const message = `object ${toHex(found.hash)} was obliterated on ${date}: ${found.reason}`;
  throw new PogoError("obliterated", message);
}

/** All contents that a path of a repository has had, and that somebody holds. */
export async function listPathContents(
  sql: Queries,
  repositoryId: number,
  path: string,
): Promise<{ hash: Hash; size: number }[]> {
  return await sql`
    select distinct o.hash, o.raw_size as size
    from files f join objects o on o.hash = f.object
    where f.repository_id = ${repositoryId} and f.path = ${path}
    order by o.hash`;
}

/** The contents of a hash, if they are known. */
export async function findContents(
  sql: Queries,
  hash: Hash,
): Promise<{ hash: Hash; size: number }[]> {
  return await sql`select hash, raw_size as size from objects where hash = ${hash}`;
}

/** Versions that brought some contents to a path, the first ones, and how many there are. */
export async function listBringing(
  sql: Queries,
  hashes: readonly Hash[],
  limit: number,
): Promise<{ versions: BringingVersion[]; count: number }> {
  const rows = await sql<(BringingVersion & { count: number })[]>`
    select f.object, r.name as repository, f.path, c.name as change, v.number as version,
      count(*) over () as count
    from files f
    join versions v on v.repository_id = f.repository_id and v.version_id = f.version_id
    join changes c on c.repository_id = v.repository_id and c.change_id = v.change_id
    join repositories r on r.repository_id = f.repository_id
    where f.object = any(${hashArray(hashes)}::bytea[]) and f.status <> 'deleted'
    order by v.version_id, f.path limit ${limit}`;
  return { versions: rows, count: rows[0]?.count ?? 0 };
}

/** A large file that contents are a chunk of, but none of those that are named. */
export async function findWhole(
  sql: Queries,
  hashes: readonly Hash[],
): Promise<{ chunk: Hash; whole: Hash } | undefined> {
  const [row] = await sql<{ chunk: Hash; whole: Hash }[]>`
    select d.hash as chunk, c.hash as whole
    from unnest(${hashArray(hashes)}::bytea[]) d (hash)
    join object_chunks c on position(d.hash in c.chunks) % ${hashBytes} = 1
    limit 1`;
  return row;
}

/**
 * Notes that contents are obliterated: what names them stays, and their bytes are nobody's. Says
 * which were not yet, and the chunks of those that nothing else consists of: these are doomed, and
 * may be sent again as a part of something else.
 */
export async function obliterate(
  tx: Queries,
  hashes: readonly Hash[],
  { reason, userName }: { reason: string; userName: string },
): Promise<{ fresh: Hash[]; chunks: Hash[] }> {
  const rows = await tx<{ hash: Hash }[]>`
    insert into obliterated_objects (hash, raw_size, reason, user_name)
    select hash, raw_size, ${reason}::text, ${userName}::text from objects
    where hash = any(${hashArray(hashes)}::bytea[])
    order by hash
    on conflict do nothing
    returning hash`;
  const fresh = rows.map(({ hash }) => hash);
  if (fresh.length === 0) return { fresh, chunks: [] };
  const named = hashArray(fresh);
  const holders = await tx<{ repositoryId: number }[]>`
    select distinct r.repository_id from repository_objects held
    join repositories r using (repository_id)
    where hash = any(${named}::bytea[]) order by repository_id`;
  for (const { repositoryId } of holders) await lockHoldings(tx, repositoryId, "condemn");
  const chunks = await listOwnChunks(tx, fresh);
  await tx`delete from repository_objects where hash = any(${hashArray(chunks)}::bytea[])`;
  await tx`update objects set doomed_at = now() where hash = any(${hashArray(chunks)}::bytea[])`;
  // Let go of as what they were, and held again as nothing, so that the usage is right.
  const held = await tx<{ repositoryId: number; hash: Hash; condemnedAt: Date | null }[]>`
    delete from repository_objects where hash = any(${named}::bytea[])
    returning repository_id, hash, condemned_at`;
  await tx`update objects set stored_size = 0 where hash = any(${named}::bytea[])`;
  await tx`delete from object_chunks where hash = any(${named}::bytea[])`;
  await tx`delete from damaged_objects where hash = any(${named}::bytea[])`;
  for (const { repositoryId, hash, condemnedAt } of held) {
    await tx`insert into repository_objects (repository_id, hash, condemned_at)
      values (${repositoryId}, ${hash}, ${condemnedAt})`;
  }
  return { fresh, chunks };
}

/** Takes those of some doomed chunks that nobody has come to hold since, like `takeDoomed`. */
export async function takeChunks(tx: Queries, hashes: readonly Hash[]): Promise<Hash[]> {
  const rows = await tx<{ hash: Hash }[]>`
    delete from objects o
    where hash = any(${hashArray(hashes)}::bytea[]) and doomed_at is not null
      and not exists (select 1 from repository_objects held where held.hash = o.hash)
    returning hash`;
  return rows.map(({ hash }) => hash);
}

/** Chunks of large files that no other one has, and that are no file by themselves. */
async function listOwnChunks(sql: Queries, hashes: readonly Hash[]): Promise<Hash[]> {
  const rows = await sql<{ hash: Hash }[]>`
    with named as (
      select c.hash = any(${hashArray(hashes)}::bytea[]) as is_own,
        substring(c.chunks from at for ${hashBytes}) as hash
      from object_chunks c
      cross join lateral generate_series(1, octet_length(c.chunks), ${hashBytes}) at
    )
    select hash from named
    where not exists (select 1 from files f where f.object = named.hash)
    group by hash having bool_and(is_own)`;
  return rows.map(({ hash }) => hash);
}
