/**
 * The graph of changes, by their current versions, a few hundred at a time. As in change-views.ts,
 * `lateral` says in which order tables are looked into.
 */
import type { Hash } from "#core/hash.ts";
import { numberArray, textArray, type Queries } from "./connect.ts";

export type ChangeNode = {
  changeId: number;
  versionId: number;
  generation: number;
  updatedAt: Date;
  /** Ids of its parents, in order. */
  parents: number[];
};

/** A visible change among all others. */
export type ListedNode = ChangeNode & {
  /** Ids of its visible children that come after it in the list: it was pushed after they were. */
  olderChildren: number[];
};

/** Reads changes and some of their ancestors, the nearest first. */
export async function readAncestry(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
  limit: number,
): Promise<ChangeNode[]> {
  // The limit ends the recursion: no more rows are made than are asked for.
  return await sql<ChangeNode[]>`
    with recursive walk (change_id) as (
      select * from unnest(${numberArray(changeIds)}::bigint[])
      union
      select p.parent_change_id
      from walk
      cross join lateral (select version_id from changes
        where repository_id = ${repositoryId} and change_id = walk.change_id limit 1) c
      cross join lateral (select parent_change_id from version_parents
        where repository_id = ${repositoryId} and version_id = c.version_id offset 0) p
    )
    select c.change_id, c.version_id, c.generation, c.updated_at,
      (select coalesce(json_agg(parent_change_id order by ordinal), '[]') from version_parents p
        where p.repository_id = ${repositoryId} and p.version_id = c.version_id) as parents
    from (select change_id from walk limit ${limit + changeIds.length}) near
    cross join lateral (select * from changes
      where repository_id = ${repositoryId} and change_id = near.change_id limit 1) c`;
}

/** Lists visible changes by the time of their last push, the newest first, after the given one. */
export async function listNewest(
  sql: Queries,
  repositoryId: number,
  after: Pick<ChangeNode, "changeId" | "updatedAt"> | undefined,
  limit: number,
): Promise<ListedNode[]> {
  const rest = after
    ? sql`and (updated_at, change_id) < (${after.updatedAt}, ${after.changeId})`
    : sql``;
  return await sql<ListedNode[]>`
    select c.change_id, c.version_id, c.generation, c.updated_at,
      (select coalesce(json_agg(parent_change_id order by ordinal), '[]') from version_parents p
        where p.repository_id = ${repositoryId} and p.version_id = c.version_id) as parents,
      (select coalesce(json_agg(child.change_id), '[]')
        from version_parents p
        cross join lateral (
          select change_id, updated_at, removed_at from changes
          where repository_id = ${repositoryId} and version_id = p.version_id
          limit 1) child
        where p.repository_id = ${repositoryId} and p.parent_change_id = c.change_id
          and child.removed_at is null
          and (child.updated_at, child.change_id) < (c.updated_at, c.change_id)
      ) as older_children
    from (
      select change_id, version_id, generation, updated_at from changes
      where repository_id = ${repositoryId} and removed_at is null ${rest}
      order by updated_at desc, change_id desc
      limit ${limit}
    ) c
    order by c.updated_at desc, c.change_id desc`;
}

/** Finds the visible change without visible children that was changed last. */
export async function findNewestHead(
  sql: Queries,
  repositoryId: number,
): Promise<number | undefined> {
  const [row] = await sql<{ changeId: number }[]>`
    select change_id from changes head
    where repository_id = ${repositoryId} and removed_at is null and not exists (
      select 1 from version_parents p
      cross join lateral (
        select 1 from changes c
        where c.repository_id = ${repositoryId} and c.version_id = p.version_id
          and c.removed_at is null
        limit 1) child
      where p.repository_id = ${repositoryId} and p.parent_change_id = head.change_id)
    order by updated_at desc, change_id desc
    limit 1`;
  return row?.changeId;
}

/** Follows first parents from a version; says how far it got. */
export async function findFirstAncestor(
  sql: Queries,
  repositoryId: number,
  versionId: number,
  distance: number,
): Promise<{ changeId: number; distance: number } | undefined> {
  const [row] = await sql<{ changeId: number; distance: number }[]>`
    with recursive chain (change_id, distance) as (
      select parent_change_id, 1 from version_parents
      where repository_id = ${repositoryId} and version_id = ${versionId} and ordinal = 1
      union all
      select p.parent_change_id, chain.distance + 1
      from chain
      cross join lateral (select version_id from changes
        where repository_id = ${repositoryId} and change_id = chain.change_id limit 1) c
      cross join lateral (select parent_change_id from version_parents
        where repository_id = ${repositoryId} and version_id = c.version_id and ordinal = 1
        limit 1) p
      where chain.distance < ${distance}
    )
    select change_id, distance from chain order by distance desc limit 1`;
  return row;
}

/** Names of the visible changes that begin so, in order. */
export async function findByPrefix(
  sql: Queries,
  repositoryId: number,
  prefix: string,
  limit: number,
): Promise<{ changeId: number; name: string }[]> {
  // "{" sorts after every letter.
  return await sql<{ changeId: number; name: string }[]>`
    select change_id, name from changes
    where repository_id = ${repositoryId} and removed_at is null
      and name >= ${prefix} and name < ${`${prefix}{`}
    order by name limit ${limit}`;
}

/** Which of the changes ever touched one of the paths, or a path below one. */
export async function findTouching(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
  paths: readonly string[],
): Promise<Set<number>> {
  // "0" is the character after "/".
  const rows = await sql<{ changeId: number }[]>`
    select distinct v.change_id from versions v
    where v.repository_id = ${repositoryId}
      and v.change_id = any(${numberArray(changeIds)}::bigint[])
      and exists (
        select 1 from unnest(${textArray(paths)}::text[]) wanted (path)
        join files f on f.repository_id = ${repositoryId} and f.version_id = v.version_id
          and (f.path = wanted.path
            or (f.path > wanted.path || '/' and f.path < wanted.path || '0')))`;
  return new Set(rows.map((row) => row.changeId));
}

/**
 * Every change that ever touched one of the paths, or a path below one; nothing when there are
 * too many to say at once.
 */
export async function findAllTouching(
  sql: Queries,
  repositoryId: number,
  paths: readonly string[],
  rowsMax: number,
): Promise<Set<number> | undefined> {
  const rows = await sql<{ changeId: number; count: number }[]>`
    select v.change_id, sum(count(*)) over ()::bigint as count
    from (
      select f.version_id
      from unnest(${textArray(paths)}::text[]) wanted (path)
      cross join lateral (
        select version_id from files f
        where f.repository_id = ${repositoryId} and f.path = wanted.path
        union all
        select version_id from files f
        where f.repository_id = ${repositoryId}
          and f.path > wanted.path || '/' and f.path < wanted.path || '0'
      ) f
      limit ${rowsMax}
    ) touched
    join versions v on v.repository_id = ${repositoryId} and v.version_id = touched.version_id
    group by v.change_id`;
  if ((rows[0]?.count ?? 0) >= rowsMax) return undefined;
  return new Set(rows.map((row) => row.changeId));
}

/** Root trees of versions, and of what each is compared with by people: its first parent. */
export async function readRoots(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
): Promise<Map<number, { tree: Hash; parentTree: Hash | null }>> {
  const rows = await sql<{ versionId: number; tree: Hash; parentTree: Hash | null }[]>`
    select v.version_id, v.tree, parent.tree as parent_tree
    from versions v
    left join version_parents p
      on p.repository_id = v.repository_id and p.version_id = v.version_id and p.ordinal = 1
    left join versions parent
      on parent.repository_id = v.repository_id and parent.version_id = p.parent_version_id
    where v.repository_id = ${repositoryId}
      and v.version_id = any(${numberArray(versionIds)}::bigint[])`;
  return new Map(rows.map(({ versionId, ...roots }) => [versionId, roots]));
}
