/** Users who come from a directory: those of them who are gone there are kept out here. */
import { textArray, type Queries } from "./connect.ts";

export type DirectoryUserRow = { userId: number; name: string; isAbsent: boolean };

/** Finds a user's id, creating the user if need be; nothing for a user of this server's own. */
export async function ensureDirectoryUser(tx: Queries, name: string): Promise<number | undefined> {
  await tx`
    insert into users (name, from_directory) values (${name}, true) on conflict do nothing`;
  const [row] = await tx<{ userId: number }[]>`
    update users set absent_since = null where name = ${name} and from_directory
    returning user_id`;
  return row?.userId;
}

/** Lists users from the directory by name, after the given one. */
export async function listDirectoryUsers(
  sql: Queries,
  after: string,
  limit: number,
): Promise<DirectoryUserRow[]> {
  return await sql<DirectoryUserRow[]>`
    select user_id, name, absent_since is not null as is_absent from users
    where from_directory and name > ${after}
    order by name limit ${limit}`;
}

/** Keeps a user out, or lets the user in again. */
export async function setAbsent(tx: Queries, userId: number, isAbsent: boolean): Promise<void> {
  await tx`
    update users set absent_since = ${isAbsent ? tx`coalesce(absent_since, now())` : null}
    where user_id = ${userId}`;
}

/** Puts a user into those of the groups that are named, and into none of the others. */
export async function setGroups(
  tx: Queries,
  userId: number,
  groups: { all: readonly string[]; own: readonly string[] },
): Promise<void> {
  await tx`
    insert into groups (name) select * from unnest(${textArray(groups.all)}::text[])
    on conflict do nothing`;
  await tx`
    insert into group_members (group_id, user_id)
    select group_id, ${userId} from groups where name = any(${textArray(groups.own)}::text[])
    on conflict do nothing`;
  await tx`
    delete from group_members m using groups g
    where m.group_id = g.group_id and m.user_id = ${userId}
      and g.name = any(${textArray(groups.all)}::text[])
      and g.name <> all(${textArray(groups.own)}::text[])`;
}
