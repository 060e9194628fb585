/** What is garbage, and deleting it: db/revive.ts says what keeps it from being deleted. */
import type { Hash } from "#core/hash.ts";
import { emptyTreeHash } from "#core/tree.ts";
import { hashArray, transaction, type Queries, type Sql } from "./connect.ts";
import { lockHoldings } from "./revive.ts";
import { continueWalk, hasMarks, type Walk } from "./walks.ts";

/** Count of trees and objects, and the bytes that the objects take up in the store. */
export type Amount = { trees: number; objects: number; bytes: number };

const tables = { tree: "trees", object: "repository_objects" } as const;

/** Ids of all repositories, and how many trees each holds. */
export async function listHoldings(
  sql: Queries,
): Promise<{ repositoryId: number; name: string; treeCount: number }[]> {
  return await sql`
    select r.repository_id, r.name,
      (select count(*) from trees t where t.repository_id = r.repository_id) as tree_count
    from repositories r order by r.repository_id`;
}

/**
 * Expires versions that nothing goes back to, and takes back the expiry of those that something
 * does after all. Says how many expired.
 */
export async function expireVersions(
  sql: Queries,
  repositoryId: number,
  retentionMs: number,
): Promise<number> {
  const kept = keptVersions(sql, repositoryId, retentionMs);
  await sql`
    with recursive ${kept}
    update versions v set expired_at = null from kept
    where v.repository_id = ${repositoryId} and v.version_id = kept.version_id
      and v.expired_at is not null
      and exists (
        select 1 from trees t where t.repository_id = ${repositoryId} and t.hash = v.tree)`;
  const rows = await sql`
    with recursive ${kept}
    update versions v set expired_at = now()
    where v.repository_id = ${repositoryId} and v.expired_at is null
      and not exists (select 1 from kept where kept.version_id = v.version_id)
    returning 1`;
  return rows.length;
}

/** Marks the trees of the versions that are kept; says how many were not marked before. */
export async function markRoots(
  sql: Queries,
  { walkId, repositoryId }: Walk,
  retentionMs: number,
): Promise<number> {
  const rows = await sql`
    with recursive ${keptVersions(sql, repositoryId, retentionMs)}
    insert into walk_marks (walk_id, is_tree, hash, is_open)
    select distinct ${walkId}::bigint, true, v.tree, true
    from versions v join kept using (version_id)
    join trees t on t.repository_id = v.repository_id and t.hash = v.tree
    where v.repository_id = ${repositoryId}
    union
    select ${walkId}::bigint, true, hash, true from trees
    where repository_id = ${repositoryId} and hash = ${emptyTreeHash}
    on conflict do nothing
    returning 1`;
  return rows.length;
}

/**
 * Lists what a walk did not meet. That takes long where much is held, and holds up nobody: whoever
 * adds something meanwhile that names other things lists it by himself (`noteAdded`).
 */
export async function listUnmet(sql: Sql, walk: Walk): Promise<void> {
  const { walkId, repositoryId } = walk;
  // Those who began to add before the walk did have ended then.
  await transaction(sql, (tx) => lockHoldings(tx, repositoryId, "condemn"));
  for (const kind of ["tree", "object"] as const) {
    await sql`
      insert into walk_unmet (walk_id, is_tree, hash)
      select ${walkId}::bigint, ${kind === "tree"}::boolean, held.hash
      from ${sql(tables[kind])} held
      where held.repository_id = ${repositoryId} and not exists (
        select 1 from walk_marks m
        where m.walk_id = ${walkId} and m.is_tree = ${kind === "tree"} and m.hash = held.hash)
      on conflict do nothing`;
  }
}

/** Counts what a walk did not meet, as far as it is held. */
export async function countUnmet(sql: Queries, walk: Walk): Promise<Amount> {
  const { walkId, repositoryId } = walk;
  const [row] = await sql<Amount[]>`
    select
      (select count(*) from walk_unmet u join trees held using (hash)
        where u.walk_id = ${walkId} and u.is_tree and held.repository_id = ${repositoryId}
          and not ${isMarked(sql, walk, "tree")}) as trees,
      count(*) as objects, coalesce(sum(stored_size), 0)::bigint as bytes
    from walk_unmet u join repository_objects held using (hash) join objects using (hash)
    where u.walk_id = ${walkId} and not u.is_tree and held.repository_id = ${repositoryId}
      and not ${isMarked(sql, walk, "object")}`;
  return row ?? { trees: 0, objects: 0, bytes: 0 };
}

/**
 * Lets go of what a walk did not meet and was condemned a grace period before it began; condemns
 * the rest of what it did not meet, and pardons what it met. Says what the repository let go of;
 * nothing if the walk has lost its marks.
 * Who adds something waits as long as there is something to condemn, not as long as all is.
 */
export async function condemn(
  tx: Queries,
  walk: Walk,
  graceMs: number,
): Promise<Omit<Amount, "bytes"> | undefined> {
  const { repositoryId, walkId, startedAt } = walk;
  await lockHoldings(tx, repositoryId, "condemn");
  // Without its marks it would let go of what it met. Another server that took it for dead deletes
  // them, and a database that crashed has lost them.
  if (!(await continueWalk(tx, walk)) || !(await hasMarks(tx, walk))) return undefined;
  const before = new Date(startedAt.getTime() - graceMs);
  const deleted = { trees: 0, objects: 0 };
  for (const kind of ["tree", "object"] as const) {
    const table = tx(tables[kind]);
    await tx`
      update ${table} held set condemned_at = null
      where repository_id = ${repositoryId} and condemned_at is not null
        and ${isMarked(tx, walk, kind)}`;
    const gone = await tx`
      with gone as (
        delete from ${table} held
        where repository_id = ${repositoryId} and condemned_at <= ${before}
          and not ${isMarked(tx, walk, kind)}
        returning 1
      ) select count(*) as count from gone`;
    await tx`
      update ${table} held set condemned_at = now()
      from walk_unmet u
      where u.walk_id = ${walkId} and u.is_tree = ${kind === "tree"}
        and held.repository_id = ${repositoryId} and held.hash = u.hash
        and held.condemned_at is null and not ${isMarked(tx, walk, kind)}`;
    deleted[`${kind}s`] = Number(gone[0]?.["count"]);
  }
  return deleted;
}

/** Dooms the objects that no repository holds, and pardons those that one does. */
export async function doomUnheld(sql: Queries): Promise<void> {
  await sql`
    delete from repository_objects held where not exists (
      select 1 from repositories r where r.repository_id = held.repository_id)`;
  await sql`
    update objects o set doomed_at = null
    where doomed_at is not null
      and exists (select 1 from repository_objects held where held.hash = o.hash)`;
  await sql`
    update objects o set doomed_at = now()
    where doomed_at is null
      and not exists (select 1 from repository_objects held where held.hash = o.hash)`;
}

/** Dooms those of the objects in the store that have no row: whoever put them did not live on. */
export async function doomStrays(sql: Queries, hashes: readonly Hash[]): Promise<number> {
  const rows = await sql`
    insert into objects (hash, raw_size, stored_size, doomed_at)
    select hash, 0, 0, now() from unnest(${hashArray(hashes)}::bytea[]) hash
    on conflict do nothing
    returning 1`;
  return rows.length;
}

/**
 * Takes some doomed objects to delete them from the store, before the transaction ends: who wants
 * to put one of them again waits for it in `beginPut`.
 */
export async function takeDoomed(
  tx: Queries,
  graceMs: number,
  limit: number,
): Promise<{ hash: Hash; storedSize: number }[]> {
  return await tx`
    delete from objects where hash in (
      select hash from objects o
      where doomed_at <= now() - ${graceMs} * interval '1 millisecond'
        and not exists (
          select 1 from repositories r
          join repository_objects held
            on held.repository_id = r.repository_id and held.hash = o.hash)
      limit ${limit}
      for update skip locked)
    returning hash, stored_size`;
}

/** Looked up row by row, without a plan that reads all marks for a few rows. */
function isMarked(sql: Queries, { walkId }: Walk, kind: "tree" | "object") {
  return sql`coalesce((
    select true from walk_marks m
    where m.walk_id = ${walkId} and m.is_tree = ${kind === "tree"} and m.hash = held.hash
    limit 1), false)`;
}

/**
 * Versions that are there to go back to: where changes are, where they were before or after an
 * operation that is not too old, what is not old itself, what two versions of a change replaced
 * because they diverged, which is the base when they are merged, and all that these are built on.
 */
function keptVersions(sql: Queries, repositoryId: number, retentionMs: number) {
  const since = sql`now() - ${retentionMs} * interval '1 millisecond'`;
  const recent = sql`
    select effects from operations
    where repository_id = ${repositoryId} and created_at >= ${since}`;
  return sql`
    moved as (
      select effect ->> 'change' as name, (state ->> 'version')::integer as number
      from (${recent}) o
      cross join lateral jsonb_array_elements(effects -> 'changes') effect
      cross join lateral (values (effect -> 'before'), (effect -> 'after')) states (state)
      where jsonb_typeof(state) = 'object'
    ), pointed as (
      select name from (${recent}) o
      cross join lateral jsonb_array_elements(effects -> 'bookmarks') effect
      cross join lateral (values (effect ->> 'before'), (effect ->> 'after')) names (name)
      where name is not null
    ), kept (version_id) as (
      select version_id from (
        select c.version_id from changes c
        where c.repository_id = ${repositoryId} and (
          c.removed_at is null
          or c.name in (select name from pointed)
          or exists (select 1 from bookmarks b
            where b.repository_id = ${repositoryId} and b.change_id = c.change_id))
        union all
        select v.version_id from versions v
        where v.repository_id = ${repositoryId} and v.created_at >= ${since}
        union all
        select v.version_id from moved
        join changes c on c.repository_id = ${repositoryId} and c.name = moved.name
        join versions v on v.repository_id = ${repositoryId} and v.change_id = c.change_id
          and v.number = moved.number
        union all
        select next.base_version_id from versions next
        join versions base
          on base.repository_id = ${repositoryId} and base.version_id = next.base_version_id
          and base.change_id = next.change_id
        join changes c on c.repository_id = ${repositoryId} and c.change_id = next.change_id
        where next.repository_id = ${repositoryId}
          and (c.removed_at is null or c.name in (select name from moved))
        group by next.base_version_id having count(*) > 1
      ) roots
      union
      select p.parent_version_id from kept
      join version_parents p
        on p.repository_id = ${repositoryId} and p.version_id = kept.version_id
    )`;
}
