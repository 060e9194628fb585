/** Roles of users and groups in repositories. */
import type { Role } from "#core/role.ts";
import type { Queries } from "./connect.ts";

export type MemberRow = { name: string; isGroup: boolean; role: Role };

/** A user or a group, by id. */
export type MemberId = { userId: number } | { groupId: number };

/** Makes whoever changes the members of a repository, or its rules, wait for each other. */
export async function lockRepository(tx: Queries, repositoryId: number): Promise<void> {
  await tx`
    select 1 from repositories where repository_id = ${repositoryId} for no key update`;
}

/** Lists the members of a repository: users by name, then groups by name. */
export async function listMembers(sql: Queries, repositoryId: number): Promise<MemberRow[]> {
  return await sql<MemberRow[]>`
    select u.name, false as is_group, m.role
    from repository_members m join users u using (user_id)
    where m.repository_id = ${repositoryId}
    union all
    select g.name, true, m.role
    from repository_groups m join groups g using (group_id)
    where m.repository_id = ${repositoryId}
    order by is_group, name`;
}

/** Reads the role that a user or a group was given itself. */
export async function findRole(
  sql: Queries,
  repositoryId: number,
  member: MemberId,
): Promise<Role | undefined> {
  const { table, column, id } = placeOf(sql, member);
  const [row] = await sql<{ role: Role }[]>`
    select role from ${table} where repository_id = ${repositoryId} and ${column} = ${id}`;
  return row?.role;
}

/** Gives a user or a group a role. */
export async function setRole(
  tx: Queries,
  repositoryId: number,
  member: MemberId,
  role: Role,
): Promise<void> {
  const { table, column, id } = placeOf(tx, member);
  await tx`
    insert into ${table} (repository_id, ${column}, role) values (${repositoryId}, ${id}, ${role})
    on conflict (repository_id, ${column}) do update set role = excluded.role`;
}

/** Takes the role of a user or a group away. */
export async function removeRole(
  tx: Queries,
  repositoryId: number,
  member: MemberId,
): Promise<void> {
  const { table, column, id } = placeOf(tx, member);
  await tx`delete from ${table} where repository_id = ${repositoryId} and ${column} = ${id}`;
}

/** Tells whether a user who may log in administers the repository, alone or in a group. */
export async function isAdministered(sql: Queries, repositoryId: number): Promise<boolean> {
  const rows = await sql`
    select 1 from repository_members m join users u using (user_id)
    where m.repository_id = ${repositoryId} and m.role = 'admin' and u.disabled_at is null
    union all
    select 1
    from repository_groups m join group_members using (group_id) join users u using (user_id)
    where m.repository_id = ${repositoryId} and m.role = 'admin' and u.disabled_at is null
    limit 1`;
  return rows.length > 0;
}

function placeOf(sql: Queries, member: MemberId) {
  if ("userId" in member) {
    return { table: sql`repository_members`, column: sql`user_id`, id: member.userId };
  }
  return { table: sql`repository_groups`, column: sql`group_id`, id: member.groupId };
}
