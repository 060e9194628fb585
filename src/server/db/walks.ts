/** Walks over all that a repository holds, and the marks that they leave: see the tables. */
import type { Hash } from "#core/hash.ts";
import { walkSilentMinutes } from "#core/limits.ts";
import { hashArray, transaction, type Queries, type Sql } from "./connect.ts";

/** A walk under way. Everything is as it was at `startedAt` or newer. */
export type Walk = { walkId: number; repositoryId: number; startedAt: Date };

/** Begins a walk; nothing when another server walks over the repository at the moment. */
export async function beginWalk(sql: Sql, repositoryId: number): Promise<Walk | undefined> {
  return await transaction(sql, async (tx) => {
    const dead = await tx<{ walkId: number }[]>`
      delete from walks where heard_at < now() - make_interval(mins => ${walkSilentMinutes})
      returning walk_id`;
    for (const { walkId } of dead) await forget(tx, walkId);
    const [walk] = await tx<Walk[]>`
      insert into walks (repository_id)
      select repository_id from repositories where repository_id = ${repositoryId}
      on conflict do nothing
      returning walk_id, repository_id, started_at`;
    return walk;
  });
}

/** Says that a walk goes on; no when it was taken for dead. */
export async function continueWalk(sql: Queries, { walkId }: Walk): Promise<boolean> {
  const rows = await sql`update walks set heard_at = now() where walk_id = ${walkId} returning 1`;
  return rows.length > 0;
}

/** Tells whether a walk has marks: the empty tree has one at least. */
export async function hasMarks(sql: Queries, { walkId }: Walk): Promise<boolean> {
  const rows = await sql`select 1 from walk_marks where walk_id = ${walkId} limit 1`;
  return rows.length > 0;
}

/** Ends a walk and forgets its marks. */
export async function endWalk(sql: Sql, { walkId }: Walk): Promise<void> {
  await forget(sql, walkId);
  await sql`delete from walks where walk_id = ${walkId}`;
}

async function forget(sql: Queries, walkId: number): Promise<void> {
  await sql`delete from walk_marks where walk_id = ${walkId}`;
  await sql`delete from walk_unmet where walk_id = ${walkId}`;
}

/** Marks trees and objects; says which were not marked before. */
export async function addMarks(
  sql: Queries,
  { walkId }: Walk,
  kind: "tree" | "object",
  hashes: readonly Hash[],
  { isOpen }: { isOpen: boolean },
): Promise<void> {
  if (hashes.length === 0) return;
  await sql`
    insert into walk_marks (walk_id, is_tree, hash, is_open)
    select ${walkId}::bigint, ${kind === "tree"}::boolean, hash, ${isOpen}::boolean
    from unnest(${hashArray(hashes)}::bytea[]) hash
    on conflict do nothing`;
}

/** Takes trees whose entries are still to be looked at. */
export async function takeOpen(sql: Queries, { walkId }: Walk, limit: number): Promise<Hash[]> {
  const rows = await sql<{ hash: Hash }[]>`
    update walk_marks set is_open = false
    where walk_id = ${walkId} and is_tree and hash in (
      select hash from walk_marks where walk_id = ${walkId} and is_open limit ${limit})
    returning hash`;
  return rows.map((row) => row.hash);
}

/** Marks the chunks of the large files that are marked. */
export async function markChunks(sql: Queries, { walkId }: Walk): Promise<void> {
  await sql`
    insert into walk_marks (walk_id, is_tree, hash, is_open)
    select ${walkId}::bigint, false, substring(chunks from at for 32), false
    from walk_marks m join object_chunks using (hash)
    cross join lateral generate_series(1, octet_length(chunks), 32) at
    where m.walk_id = ${walkId} and not m.is_tree
    on conflict do nothing`;
}

/**
 * Notes what is added that names something while a walk is under way, as that does not meet it any
 * more. Whoever adds holds the lock: see `lockHoldings`.
 */
export async function noteAdded(
  tx: Queries,
  repositoryId: number,
  kind: "tree" | "object",
  hashes: readonly Hash[],
): Promise<void> {
  await tx`
    insert into walk_unmet (walk_id, is_tree, hash)
    select walk_id, ${kind === "tree"}::boolean, hash
    from walks cross join unnest(${hashArray(hashes)}::bytea[]) hash
    where repository_id = ${repositoryId}
    on conflict do nothing`;
}
