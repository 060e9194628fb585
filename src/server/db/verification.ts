/** What is to be verified, in pages by hash, and who is affected by what is not right. */
import type { Hash } from "#core/hash.ts";
import { hashArray, type Queries } from "./connect.ts";
import type { TreeRow } from "./trees.ts";

/** A file that cannot be had as it was. */
export type AffectedFile = {
  object: Hash;
  repository: string;
  path: string;
  /** The change that brought it, and whose it is. */
  change: string;
  author: string;
};

const affectedMax = 5;

/** Versions whose tree is not there, though they are kept. */
export async function listTreeless(
  sql: Queries,
  repositoryId: number,
): Promise<{ change: string; number: number; author: string; tree: Hash }[]> {
  return await sql`
    select c.name as change, v.number, u.name as author, v.tree
    from versions v
    join changes c on c.repository_id = v.repository_id and c.change_id = v.change_id
    join users u on u.user_id = v.author_id
    where v.repository_id = ${repositoryId} and v.expired_at is null and not exists (
      select 1 from trees t where t.repository_id = v.repository_id and t.hash = v.tree)
    order by v.version_id`;
}

/** Trees of a repository, after one in the order of their hashes. */
export async function pageTrees(
  sql: Queries,
  repositoryId: number,
  after: Hash,
  limit: number,
): Promise<TreeRow[]> {
  return await sql<TreeRow[]>`
    select hash, data, file_count, byte_count, conflicted from trees
    where repository_id = ${repositoryId} and hash > ${after}
    order by hash limit ${limit}`;
}

/** Objects that a repository holds and that are in no list of objects. */
export async function listUnknownObjects(sql: Queries, repositoryId: number): Promise<Hash[]> {
  const rows = await sql<{ hash: Hash }[]>`
    select hash from repository_objects held
    where repository_id = ${repositoryId}
      and not exists (select 1 from objects o where o.hash = held.hash)`;
  return rows.map((row) => row.hash);
}

/** Large files that a repository holds, after one in the order of their hashes. */
export async function pageLargeFiles(
  sql: Queries,
  repositoryId: number,
  after: Hash,
  limit: number,
): Promise<Hash[]> {
  const rows = await sql<{ hash: Hash }[]>`
    select hash from repository_objects held
    where repository_id = ${repositoryId} and hash > ${after}
      and exists (select 1 from object_chunks c where c.hash = held.hash)
    order by hash limit ${limit}`;
  return rows.map((row) => row.hash);
}

/** Objects that somebody holds, after one in the order of their hashes. */
export async function pageObjects(
  sql: Queries,
  after: Hash,
  limit: number,
): Promise<{ hash: Hash; rawSize: number; storedSize: number }[]> {
  return await sql`
    select hash, raw_size, stored_size from objects
    where hash > ${after} and doomed_at is null
      and not exists (select 1 from obliterated_objects t where t.hash = objects.hash)
    order by hash limit ${limit}`;
}

/** Files that consist of objects, or of chunks: some of them, when there are many. */
export async function findAffected(sql: Queries, hashes: readonly Hash[]): Promise<AffectedFile[]> {
  if (hashes.length === 0) return [];
  return await sql<AffectedFile[]>`
    with damaged as (
      select hash, hash as object from unnest(${hashArray(hashes)}::bytea[]) hash
      union
      select d.hash, c.hash from unnest(${hashArray(hashes)}::bytea[]) d (hash)
      join object_chunks c on position(d.hash in c.chunks) > 0
    )
    select d.hash as object, r.name as repository, f.path, c.name as change, u.name as author
    from damaged d cross join lateral (
      select distinct on (repository_id, path) repository_id, path, version_id from files
      where object = d.object and status <> 'deleted'
      order by repository_id, path, version_id limit ${affectedMax}) f
    join versions v on v.repository_id = f.repository_id and v.version_id = f.version_id
    join changes c on c.repository_id = v.repository_id and c.change_id = v.change_id
    join repositories r on r.repository_id = f.repository_id
    join users u on u.user_id = v.author_id
    order by d.hash, r.name, f.path`;
}

/** The chunks of a large file, in its order; after them perhaps those of another way to cut it. */
export async function listChunks(
  sql: Queries,
  hash: Hash,
): Promise<{ hash: Hash; size: number }[]> {
  return await sql`
    select o.hash, o.raw_size as size
    from object_chunks c
    cross join lateral generate_series(1, octet_length(c.chunks), 32) at
    join objects o on o.hash = substring(c.chunks from at for 32)
    where c.hash = ${hash}
    order by at`;
}

/** Notes that an object is as it was. */
export async function clearDamaged(sql: Queries, hash: Hash): Promise<void> {
  await sql`delete from damaged_objects where hash = ${hash}`;
}
