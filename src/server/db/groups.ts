/** Groups of users. */
import type { Queries } from "./connect.ts";

export type GroupRow = { groupId: number; name: string; members: string[]; createdAt: Date };

/** Finds a group by name. */
export async function findGroup(sql: Queries, name: string): Promise<GroupRow | undefined> {
  const [row] = await sql<GroupRow[]>`
    select group_id, name, ${members(sql)} as members, created_at from groups g
    where name = ${name}`;
  return row;
}

/** Lists groups by name, after the given one. */
export async function listGroups(sql: Queries, after: string, limit: number): Promise<GroupRow[]> {
  return await sql<GroupRow[]>`
    select group_id, name, ${members(sql)} as members, created_at from groups g
    where name > ${after}
    order by name limit ${limit}`;
}

/** Creates a group without members; says whether there was none of that name. */
export async function createGroup(tx: Queries, name: string): Promise<boolean> {
  const rows = await tx`
    insert into groups (name) values (${name}) on conflict do nothing returning 1`;
  return rows.length > 0;
}

/** Deletes a group with all roles that it has. */
export async function deleteGroup(tx: Queries, groupId: number): Promise<void> {
  await tx`delete from groups where group_id = ${groupId}`;
}

/** Puts a user into a group; says whether that is new. */
export async function addToGroup(tx: Queries, groupId: number, userId: number): Promise<boolean> {
  const rows = await tx`
    insert into group_members (group_id, user_id) values (${groupId}, ${userId})
    on conflict do nothing returning 1`;
  return rows.length > 0;
}

/** Takes a user out of a group; says whether that is new. */
export async function removeFromGroup(
  tx: Queries,
  groupId: number,
  userId: number,
): Promise<boolean> {
  const rows = await tx`
    delete from group_members where group_id = ${groupId} and user_id = ${userId} returning 1`;
  return rows.length > 0;
}

function members(sql: Queries) {
  return sql`(
    select coalesce(json_agg(u.name order by u.name), '[]')
    from group_members m join users u using (user_id) where m.group_id = g.group_id)`;
}
