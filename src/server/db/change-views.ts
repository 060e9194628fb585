/** What people see of changes, gathered in a few queries however many there are. */
import { bookmarksToldMax, parentDescriptionLength } from "#core/limits.ts";
import { uniquePrefix } from "#core/name.ts";
import { numberArray, textArray, type Queries } from "./connect.ts";

/** A version of a change, and what its repository says of the change now. */
export type ChangeView = {
  versionId: number;
  changeId: number;
  name: string;
  prefix: string;
  description: string;
  authorId: number;
  author: string;
  versionAuthor: string;
  createdAt: Date;
  updatedAt: Date;
  number: number;
  currentNumber: number;
  tree: Uint8Array;
  fileCount: number;
  byteCount: number;
  conflicted: boolean;
  isRemoved: boolean;
  hasChildren: boolean;
  /** Sorted; of very many, the first. */
  bookmarks: string[];
  parents: ParentView[];
};

export type ParentView = { name: string; prefix: string; number: number; description: string };

type Neighbours = { name: string; nameBefore: string | null; nameAfter: string | null };

/**
 * Reads what there is to say of versions, in the order asked. `lateral … limit 1` says in which
 * order tables are looked into: left to itself, a database that has not counted its rows yet, as
 * after an import, begins with all rows of the repository.
 */
export async function readChangeViews(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
): Promise<ChangeView[]> {
  if (versionIds.length === 0) return [];
  type Row = Omit<ChangeView, "parents" | "prefix"> & Neighbours;
  const rows = await sql<Row[]>`
    select v.version_id, c.change_id, c.name, v.description, c.author_id, u.name as author,
      vu.name as version_author, c.created_at, c.updated_at, v.number,
      cv.number as current_number, v.tree, coalesce(t.file_count, 0) as file_count,
      coalesce(t.byte_count, 0) as byte_count, coalesce(t.conflicted, false) as conflicted,
      c.removed_at is not null as is_removed,
      (select name from changes n
        where n.repository_id = ${repositoryId} and n.removed_at is null and n.name < c.name
        order by n.name desc limit 1) as name_before,
      (select name from changes n
        where n.repository_id = ${repositoryId} and n.removed_at is null and n.name > c.name
        order by n.name limit 1) as name_after,
      exists (
        select 1 from version_parents p
        cross join lateral (
          select 1 from changes child
          where child.repository_id = ${repositoryId} and child.version_id = p.version_id
            and child.removed_at is null
          limit 1) visible
        where p.repository_id = ${repositoryId}
          and p.parent_change_id = c.change_id) as has_children,
      (select coalesce(json_agg(name), '[]') from (
        select name from bookmarks b
        where b.repository_id = ${repositoryId} and b.change_id = c.change_id
        order by name limit ${bookmarksToldMax}) named) as bookmarks
    from unnest(${numberArray(versionIds)}::bigint[]) with ordinality wanted (version_id, ordinal)
    cross join lateral (select * from versions
      where repository_id = ${repositoryId} and version_id = wanted.version_id limit 1) v
    cross join lateral (select * from changes
      where repository_id = ${repositoryId} and change_id = v.change_id limit 1) c
    cross join lateral (select number from versions
      where repository_id = ${repositoryId} and version_id = c.version_id limit 1) cv
    -- That of a version that expired may be gone.
    left join lateral (select file_count, byte_count, conflicted from trees
      where repository_id = ${repositoryId} and hash = v.tree limit 1) t on true
    cross join lateral (select name from users where user_id = c.author_id limit 1) u
    cross join lateral (select name from users where user_id = v.author_id limit 1) vu
    order by wanted.ordinal`;
  const parents = await readParentViews(sql, repositoryId, versionIds);
  const prefixes = await readPrefixes(sql, repositoryId, [...rows, ...parents]);
  const prefixOf = (name: string) => prefixes.get(name) ?? name;
  return rows.map(({ nameBefore: _, nameAfter: __, ...row }) => ({
    ...row,
    prefix: prefixOf(row.name),
    parents: parents
      .filter((parent) => parent.versionId === row.versionId)
      .map(({ name, number, description }) => ({
        name,
        prefix: prefixOf(name),
        number,
        description,
      })),
  }));
}

async function readParentViews(sql: Queries, repositoryId: number, versionIds: readonly number[]) {
  type Row = Omit<ParentView, "prefix"> & Neighbours & { versionId: number };
  return await sql<Row[]>`
    select p.version_id, c.name, v.number,
      left(split_part(v.description, E'\n', 1), ${parentDescriptionLength}) as description,
      (select name from changes n
        where n.repository_id = ${repositoryId} and n.removed_at is null and n.name < c.name
        order by n.name desc limit 1) as name_before,
      (select name from changes n
        where n.repository_id = ${repositoryId} and n.removed_at is null and n.name > c.name
        order by n.name limit 1) as name_after
    from unnest(${numberArray(versionIds)}::bigint[]) wanted (version_id)
    cross join lateral (select * from version_parents
      where repository_id = ${repositoryId} and version_id = wanted.version_id offset 0) p
    cross join lateral (select number, description from versions
      where repository_id = ${repositoryId} and version_id = p.parent_version_id limit 1) v
    cross join lateral (select name from changes
      where repository_id = ${repositoryId} and change_id = p.parent_change_id limit 1) c
    order by p.version_id, p.ordinal`;
}

/**
 * Shortest prefixes that name changes alone: no neighbour in name order shares them, and no
 * bookmark, which would be found first, is called so.
 */
async function readPrefixes(
  sql: Queries,
  repositoryId: number,
  rows: readonly Neighbours[],
): Promise<Map<string, string>> {
  const shortest = new Map(
    rows.map(({ name, nameBefore, nameAfter }) => [
      name,
      uniquePrefix(name, nameBefore ?? undefined, nameAfter ?? undefined),
    ]),
  );
  const candidates = [...shortest].flatMap(([name, prefix]) =>
    Array.from(name, (_, index) => name.slice(0, index + 1)).slice(prefix.length - 1),
  );
  const named = await sql<{ name: string }[]>`
    select name from bookmarks
    where repository_id = ${repositoryId}
      and name = any(${textArray([...new Set(candidates)])}::text[])`;
  const taken = new Set(named.map((row) => row.name));
  for (const [name, prefix] of shortest) {
    let length = prefix.length;
    while (length < name.length && taken.has(name.slice(0, length))) length++;
    shortest.set(name, name.slice(0, length));
  }
  return shortest;
}
