/** Users and the tokens that prove who they are. */
import type { Queries, Sql } from "./connect.ts";

export type TokenRow = {
  tokenId: number;
  userId: number;
  userName: string;
  name: string;
  createdAt: Date;
  lastUsedAt: Date | null;
  expiresAt: Date | null;
};

/** Finds a token that is valid now, by the hash of its text. */
export async function findToken(sql: Queries, hash: Uint8Array): Promise<TokenRow | undefined> {
  const [row] = await sql<TokenRow[]>`
    select t.token_id, t.user_id, u.name as user_name, t.name, t.created_at, t.last_used_at,
      t.expires_at
    from tokens t join users u using (user_id)
    where t.hash = ${hash} and t.revoked_at is null
      and (t.expires_at is null or t.expires_at > now())`;
  return row;
}

/** Notes that a token was used, unless that was noted less than a minute ago. */
export async function touchToken(sql: Sql, tokenId: number): Promise<void> {
  await sql`
    update tokens set last_used_at = now()
    where token_id = ${tokenId}
      and (last_used_at is null or last_used_at < now() - interval '1 minute')`;
}

/** Lists a user's valid and expired tokens, oldest first. */
export async function listTokens(sql: Queries, userId: number): Promise<TokenRow[]> {
  return await sql<TokenRow[]>`
    select t.token_id, t.user_id, u.name as user_name, t.name, t.created_at, t.last_used_at,
      t.expires_at
    from tokens t join users u using (user_id)
    where t.user_id = ${userId} and t.revoked_at is null
    order by t.created_at, t.token_id`;
}

/** Creates a token; nothing when its owner has one of that name. */
export async function createToken(
  sql: Queries,
  token: { userId: number; name: string; hash: Uint8Array; expiresAt: Date | null },
): Promise<TokenRow | undefined> {
  const { userId, name, hash, expiresAt } = token;
  const [row] = await sql<TokenRow[]>`
    insert into tokens (user_id, name, hash, expires_at)
    values (${userId}, ${name}, ${hash}, ${expiresAt})
    on conflict do nothing
    returning token_id, user_id, name, created_at, last_used_at, expires_at,
      (select name from users where user_id = ${userId}) as user_name`;
  return row;
}

/** Revokes a token by its name; nothing when there is none. */
export async function revokeToken(
  sql: Queries,
  userId: number,
  name: string,
): Promise<TokenRow | undefined> {
  const [row] = await sql<TokenRow[]>`
    update tokens set revoked_at = now()
    where user_id = ${userId} and name = ${name} and revoked_at is null
    returning token_id, user_id, name, created_at, last_used_at, expires_at,
      (select name from users where user_id = ${userId}) as user_name`;
  return row;
}

/** Tells whether a token of this hash was ever created. */
export async function hasToken(sql: Queries, hash: Uint8Array): Promise<boolean> {
  const rows = await sql`select 1 from tokens where hash = ${hash}`;
  return rows.length > 0;
}

/** Finds a user's id by name, creating the user if need be. Says whether it did. */
export async function ensureUser(
  sql: Queries,
  name: string,
): Promise<{ userId: number; isNew: boolean }> {
  const [created] = await sql<{ userId: number }[]>`
    insert into users (name) values (${name}) on conflict do nothing returning user_id`;
  if (created) return { userId: created.userId, isNew: true };
  const [found] = await sql<{ userId: number }[]>`select user_id from users where name = ${name}`;
  if (!found) throw new Error(`user ${name} is neither new nor known`);
  return { userId: found.userId, isNew: false };
}
