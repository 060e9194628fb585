/** What stands on changes, and all that rewriting it needs to know. As in graph.ts, `lateral`
 * says in which order tables are looked into. */
import { numberArray, textArray, type Queries } from "./connect.ts";
import type { ParentRow, VersionRow } from "./changes.ts";

/** A change at its current version. */
export type CurrentRow = VersionRow & { name: string; isRemoved: boolean; parents: ParentRow[] };

/** Ids of changes and of all visible changes above them, at most `limit` of them. */
export async function readDescendants(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
  limit: number,
): Promise<number[]> {
  // The limit ends the recursion: no more rows are made than are asked for.
  const rows = await sql<{ changeId: number }[]>`
    with recursive walk (change_id) as (
      select * from unnest(${numberArray(changeIds)}::bigint[])
      union
      select child.change_id
      from walk
      cross join lateral (select version_id from version_parents
        where repository_id = ${repositoryId} and parent_change_id = walk.change_id offset 0) p
      cross join lateral (select change_id from changes c
        where c.repository_id = ${repositoryId} and c.version_id = p.version_id
          and c.removed_at is null
        limit 1) child
    )
    select change_id from walk limit ${limit}`;
  return rows.map((row) => row.changeId);
}

/** Reads changes at their current versions, by id, in no order. */
export async function readCurrent(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
): Promise<CurrentRow[]> {
  type Row = Omit<CurrentRow, "parents"> & { parents: [number, number][] };
  const rows = await sql<Row[]>`
    select c.name, c.removed_at is not null as is_removed, v.version_id, v.change_id, v.number,
      v.tree, v.description, v.author_id, v.generation,
      (select coalesce(json_agg(json_build_array(parent_change_id, parent_version_id)
          order by ordinal), '[]')
        from version_parents p
        where p.repository_id = ${repositoryId} and p.version_id = v.version_id) as parents
    from unnest(${numberArray(changeIds)}::bigint[]) wanted (change_id)
    cross join lateral (select * from changes
      where repository_id = ${repositoryId} and change_id = wanted.change_id limit 1) c
    cross join lateral (select * from versions
      where repository_id = ${repositoryId} and version_id = c.version_id limit 1) v`;
  return rows.map(({ parents, ...row }) => ({
    ...row,
    parents: parents.map(([changeId, versionId]) => ({ changeId, versionId })),
  }));
}

/** Finds versions by the names of their changes and their numbers, in the order asked. */
export async function findNamedVersions(
  sql: Queries,
  repositoryId: number,
  wanted: readonly { change: string; version: number }[],
): Promise<{ versionId: number; isConflicted: boolean }[]> {
  return await sql<{ versionId: number; isConflicted: boolean }[]>`
    select v.version_id, t.conflicted as is_conflicted
    from unnest(
      ${textArray(wanted.map(({ change }) => change))}::text[],
      ${numberArray(wanted.map(({ version }) => version))}::bigint[])
      with ordinality wanted (name, number, ordinal)
    cross join lateral (select change_id from changes
      where repository_id = ${repositoryId} and name = wanted.name limit 1) c
    cross join lateral (select version_id, tree from versions
      where repository_id = ${repositoryId} and change_id = c.change_id
        and number = wanted.number limit 1) v
    cross join lateral (select conflicted from trees
      where repository_id = ${repositoryId} and hash = v.tree limit 1) t
    order by wanted.ordinal`;
}
