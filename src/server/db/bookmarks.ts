/** Bookmarks: names for changes. They are moved by mutations. */
import { textArray, type Queries } from "./connect.ts";

export type BookmarkRow = {
  name: string;
  changeId: number;
  changeName: string;
  versionId: number;
  updatedAt: Date;
};

/** Finds a bookmark, in a transaction locking it if asked. */
export async function findBookmark(
  sql: Queries,
  repositoryId: number,
  name: string,
  lock = false,
): Promise<BookmarkRow | undefined> {
  const [row] = await sql<BookmarkRow[]>`
    select b.name, b.change_id, c.name as change_name, c.version_id, b.updated_at
    from bookmarks b
    join changes c on c.repository_id = b.repository_id and c.change_id = b.change_id
    where b.repository_id = ${repositoryId} and b.name = ${name}
    ${lock ? sql`for update of b` : sql``}`;
  return row;
}

/** Lists bookmarks by name, after the given one. */
export async function listBookmarks(
  sql: Queries,
  repositoryId: number,
  after: string,
  limit: number,
): Promise<BookmarkRow[]> {
  return await sql<BookmarkRow[]>`
    select b.name, b.change_id, c.name as change_name, c.version_id, b.updated_at
    from bookmarks b
    join changes c on c.repository_id = b.repository_id and c.change_id = b.change_id
    where b.repository_id = ${repositoryId} and b.name > ${after}
    order by b.name
    limit ${limit}`;
}

/** Names of the bookmarks that point at a change, sorted. */
export async function bookmarksOf(
  sql: Queries,
  repositoryId: number,
  changeId: number,
): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select name from bookmarks
    where repository_id = ${repositoryId} and change_id = ${changeId}
    order by name`;
  return rows.map((row) => row.name);
}

/** Names of the changes that bookmarks point at, by the bookmarks' names; locks them if asked. */
export async function findBookmarkTargets(
  sql: Queries,
  repositoryId: number,
  names: readonly string[],
  lock = false,
): Promise<Map<string, string>> {
  if (names.length === 0) return new Map();
  // In one order for everybody, so that nobody waits in a circle.
  const rows = await sql<{ name: string; changeName: string }[]>`
    select b.name, c.name as change_name
    from bookmarks b
    join changes c on c.repository_id = b.repository_id and c.change_id = b.change_id
    where b.repository_id = ${repositoryId} and b.name = any(${textArray(names)}::text[])
    order by b.name
    ${lock ? sql`for update of b` : sql``}`;
  return new Map(rows.map(({ name, changeName }) => [name, changeName]));
}
