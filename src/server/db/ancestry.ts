/** The graph of versions: what each was made from. As in graph.ts, `lateral` orders look-ups. */
import { numberArray, type Queries } from "./connect.ts";

export type VersionNode = {
  versionId: number;
  /** Its parents, and the version of the same change that it replaced. All have smaller ids. */
  origins: number[];
};

/** Reads versions and some of their ancestors, the nearest first. */
export async function readOrigins(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
  limit: number,
): Promise<VersionNode[]> {
  const originsOf = (row: "walk" | "near") => sql`
    select parent_version_id as origin from version_parents
    where repository_id = ${repositoryId} and version_id = ${sql(row)}.version_id
    union all
    select replaced.version_id
    from (select change_id, base_version_id from versions
      where repository_id = ${repositoryId} and version_id = ${sql(row)}.version_id limit 1) own
    cross join lateral (select version_id, change_id from versions
      where repository_id = ${repositoryId} and version_id = own.base_version_id limit 1) replaced
    where replaced.change_id = own.change_id
    offset 0`;
  // The limit ends the recursion: no more rows are made than are asked for.
  return await sql<VersionNode[]>`
    with recursive walk (version_id) as (
      select * from unnest(${numberArray(versionIds)}::bigint[])
      union
      select o.origin from walk cross join lateral (${originsOf("walk")}) o
    )
    select near.version_id,
      (select coalesce(json_agg(origin), '[]') from (${originsOf("near")}) o) as origins
    from (select version_id from walk limit ${limit + versionIds.length}) near`;
}
