/** Users: people, and what deploys on its own. */
import type { Queries } from "./connect.ts";

export type UserRow = {
  userId: number;
  name: string;
  isAdmin: boolean;
  isDeploy: boolean;
  disabledAt: Date | null;
  createdAt: Date;
};

/** Finds a user by name. */
export async function findUser(sql: Queries, name: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    select user_id, name, is_admin, is_deploy, disabled_at, created_at
    from users where name = ${name}`;
  return row;
}

/** Lists people by name, after the given one. */
export async function listUsers(sql: Queries, after: string, limit: number): Promise<UserRow[]> {
  return await sql<UserRow[]>`
    select user_id, name, is_admin, is_deploy, disabled_at, created_at
    from users where name > ${after} and not is_deploy
    order by name limit ${limit}`;
}

/** Creates a user; nothing when there is one of that name. */
export async function createUser(
  sql: Queries,
  { name, isAdmin = false, isDeploy = false }: Partial<UserRow> & { name: string },
): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    insert into users (name, is_admin, is_deploy) values (${name}, ${isAdmin}, ${isDeploy})
    on conflict do nothing
    returning user_id, name, is_admin, is_deploy, disabled_at, created_at`;
  return row;
}

/** Finds a user's id by name, creating the user if need be. Says whether it did. */
export async function ensureUser(
  sql: Queries,
  name: string,
): Promise<{ userId: number; isNew: boolean }> {
  const created = await createUser(sql, { name });
  if (created) return { userId: created.userId, isNew: true };
  const found = await findUser(sql, name);
  if (!found) throw new Error(`user ${name} is neither new nor known`);
  return { userId: found.userId, isNew: false };
}

/** Says whether a user administers the server. */
export async function setAdmin(sql: Queries, userId: number, isAdmin: boolean): Promise<void> {
  await sql`update users set is_admin = ${isAdmin} where user_id = ${userId}`;
}

/** Says whether a user's tokens are good for anything. */
export async function setDisabled(sql: Queries, userId: number, disabled: boolean): Promise<void> {
  await sql`
    update users set disabled_at = ${disabled ? sql`coalesce(disabled_at, now())` : null}
    where user_id = ${userId}`;
}

/**
 * Tells whether anybody is left who administers the server. Those who take that from somebody
 * wait for each other here, so that two do not take it from the last two.
 */
export async function hasAdmin(tx: Queries): Promise<boolean> {
  const rows = await tx`
    select 1 from users where is_admin and disabled_at is null and absent_since is null
    order by user_id for update`;
  return rows.length > 0;
}
