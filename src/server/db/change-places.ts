/**
 * Where changes are, and what stands on them, for many at once. As in change-views.ts, `lateral`
 * says in which order tables are looked into.
 */
import { numberArray, textArray, type Queries } from "./connect.ts";
import type { VersionRow } from "./changes.ts";

/** Where a change is now. */
export type Place = {
  name: string;
  changeId: number;
  /** Of the version that it is at. */
  number: number;
  isRemoved: boolean;
};

/** A visible change, and a change that is a parent of the version that it is at. */
export type Standing = { parentId: number; name: string; generation: number };

/** Finds where changes are, hidden ones too. */
export async function findPlaces(
  sql: Queries,
  repositoryId: number,
  names: readonly string[],
): Promise<Place[]> {
  return await sql<Place[]>`
    select c.name, c.change_id, v.number, c.removed_at is not null as is_removed
    from unnest(${textArray(names)}::text[]) wanted (name)
    cross join lateral (select * from changes
      where repository_id = ${repositoryId} and name = wanted.name limit 1) c
    cross join lateral (select number from versions
      where repository_id = ${repositoryId} and version_id = c.version_id limit 1) v`;
}

/** Finds versions by their numbers. */
export async function findVersions(
  sql: Queries,
  repositoryId: number,
  wanted: readonly { changeId: number; number: number }[],
): Promise<VersionRow[]> {
  return await sql<VersionRow[]>`
    select v.version_id, v.change_id, v.number, v.tree, v.description, v.author_id, v.generation
    from unnest(${numberArray(wanted.map(({ changeId }) => changeId))}::bigint[],
      ${numberArray(wanted.map(({ number }) => number))}::integer[]) wanted (change_id, number)
    cross join lateral (select * from versions
      where repository_id = ${repositoryId} and change_id = wanted.change_id
        and number = wanted.number limit 1) v`;
}

/** Ids and names of the changes that versions have as parents. */
export async function findParentChanges(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
): Promise<{ versionId: number; changeId: number; name: string; isRemoved: boolean }[]> {
  return await sql<{ versionId: number; changeId: number; name: string; isRemoved: boolean }[]>`
    select p.version_id, c.change_id, c.name, c.removed_at is not null as is_removed
    from unnest(${numberArray(versionIds)}::bigint[]) wanted (version_id)
    cross join lateral (select * from version_parents
      where repository_id = ${repositoryId} and version_id = wanted.version_id offset 0) p
    cross join lateral (select * from changes
      where repository_id = ${repositoryId} and change_id = p.parent_change_id limit 1) c`;
}

/** Finds the visible changes that stand on any of the changes. */
export async function findStanding(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
): Promise<Standing[]> {
  return await sql<Standing[]>`
    select wanted.change_id as parent_id, c.name, c.generation
    from unnest(${numberArray(changeIds)}::bigint[]) wanted (change_id)
    cross join lateral (select version_id from version_parents
      where repository_id = ${repositoryId} and parent_change_id = wanted.change_id offset 0) p
    cross join lateral (select * from changes
      where repository_id = ${repositoryId} and version_id = p.version_id
        and removed_at is null limit 1) c
    order by c.change_id`;
}

/** Names of the bookmarks that point at any of the changes. */
export async function findBookmarksAt(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
): Promise<{ name: string; changeId: number }[]> {
  return await sql<{ name: string; changeId: number }[]>`
    select name, change_id from bookmarks
    where repository_id = ${repositoryId}
      and change_id = any(${numberArray(changeIds)}::bigint[])
    order by name`;
}

export type ListedVersion = {
  versionId: number;
  number: number;
  createdAt: Date;
  isDiverged: boolean;
  isExpired: boolean;
};

/** Lists the versions of a change below a number, newest first. */
export async function listVersions(
  sql: Queries,
  repositoryId: number,
  changeId: number,
  below: number,
  limit: number,
): Promise<ListedVersion[]> {
  return await sql<ListedVersion[]>`
    select version_id, number, created_at, diverged as is_diverged,
      expired_at is not null as is_expired
    from versions
    where repository_id = ${repositoryId} and change_id = ${changeId} and number < ${below}
    order by number desc limit ${limit}`;
}
