/**
 * The graph of versions: what each was made from. That is its parents and its base, which is one
 * of them, or the version of the same change that it replaced. All have smaller ids than it has.
 */
import { numberArray, type Queries } from "./connect.ts";

export type VersionNode = { versionId: number; origins: number[] };

/** Reads versions. */
export async function readOrigins(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
): Promise<VersionNode[]> {
  return await sql<VersionNode[]>`
    select wanted.version_id,
      (select coalesce(json_agg(origin), '[]') from (
        ${originsOf(sql, repositoryId, "wanted")}) o) as origins
    from unnest(${numberArray(versionIds)}::bigint[]) wanted (version_id)`;
}

/** Reads versions and some of their ancestors, the nearest first. */
export async function readNearOrigins(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
  limit: number,
): Promise<VersionNode[]> {
  // As in graph.ts, `lateral` orders the look-ups.
  // The limit ends the recursion: no more rows are made than are asked for.
  return await sql<VersionNode[]>`
    with recursive walk (version_id) as (
      select * from unnest(${numberArray(versionIds)}::bigint[])
      union
      select o.origin from walk cross join lateral (
        ${originsOf(sql, repositoryId, "walk")}) o
    )
    select near.version_id,
      (select coalesce(json_agg(origin), '[]') from (
        ${originsOf(sql, repositoryId, "near")}) o) as origins
    from (select version_id from walk limit ${limit + versionIds.length}) near`;
}

/** Reads the versions of a repository from one downwards by id, related to it or not. */
export async function readOriginsBelow(
  sql: Queries,
  repositoryId: number,
  versionId: number,
  limit: number,
): Promise<VersionNode[]> {
  const versions = await sql<{ versionId: number; baseVersionId: number | null }[]>`
    select version_id, base_version_id from versions
    where repository_id = ${repositoryId} and version_id <= ${versionId}
    order by version_id desc
    limit ${limit}`;
  const nodes = new Map(
    versions.map(({ versionId: id, baseVersionId }) => [
      id,
      { versionId: id, origins: baseVersionId === null ? [] : [baseVersionId] },
    ]),
  );
  const last = versions.at(-1)?.versionId ?? versionId;
  const parents = await sql<{ versionId: number; origin: number }[]>`
    select version_id, parent_version_id as origin from version_parents
    where repository_id = ${repositoryId} and version_id between ${last} and ${versionId}`;
  for (const { versionId: id, origin } of parents) nodes.get(id)?.origins.push(origin);
  return [...nodes.values()];
}

function originsOf(sql: Queries, repositoryId: number, row: "wanted" | "walk" | "near") {
  return sql`
    select parent_version_id as origin from version_parents
    where repository_id = ${repositoryId} and version_id = ${sql(row)}.version_id
    union all
    select base_version_id from versions
    where repository_id = ${repositoryId} and version_id = ${sql(row)}.version_id
      and base_version_id is not null
    offset 0`;
}
