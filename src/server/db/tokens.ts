/** Tokens: what proves who somebody is, and how far that reaches. */
import type { Scope } from "#core/role.ts";
import type { Queries, Sql } from "./connect.ts";

export type TokenRow = {
  tokenId: number;
  userId: number;
  userName: string;
  /** Its owner administers the server. */
  isAdmin: boolean;
  /** Its owner is no person, and has no other token. */
  isDeploy: boolean;
  name: string;
  hash: Uint8Array;
  scope: Scope;
  /** The only repository that it is good for; null is all of its owner's. */
  repositoryId: number | null;
  repositoryName: string | null;
  /** It may read that repository's secrets. */
  readsSecrets: boolean;
  createdAt: Date;
  lastUsedAt: Date | null;
  expiresAt: Date | null;
};

/** A token that is to be: without a limit it may all that its owner may, until it is revoked. */
export type NewToken = {
  userId: number;
  name: string;
  hash: Uint8Array;
  expiresAt?: Date | null;
  scope?: Scope;
  repositoryId?: number | null;
  readsSecrets?: boolean;
};

/** Finds a token that is valid now, by the hash of its text. */
export async function findToken(sql: Queries, hash: Uint8Array): Promise<TokenRow | undefined> {
  const [row] = await sql<TokenRow[]>`
    select ${columns(sql)}
    from tokens t join users u using (user_id) left join repositories r using (repository_id)
    where t.hash = ${hash} and t.revoked_at is null and u.disabled_at is null
      and u.absent_since is null
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
    select ${columns(sql)}
    from tokens t join users u using (user_id) left join repositories r using (repository_id)
    where t.user_id = ${userId} and t.revoked_at is null
    order by t.created_at, t.token_id`;
}

/**
 * Lists the valid and expired deploy tokens of a repository, oldest first. What programs got in
 * exchange has spaces in its name, and is not among them.
 */
export async function listDeployTokens(sql: Queries, repositoryId: number): Promise<TokenRow[]> {
  return await sql<TokenRow[]>`
    select ${columns(sql)}
    from tokens t join users u using (user_id) left join repositories r using (repository_id)
    where t.repository_id = ${repositoryId} and u.is_deploy and t.revoked_at is null
      and position(' ' in t.name) = 0
    order by t.created_at, t.token_id`;
}

/** Creates a token; nothing when its owner has one of that name. */
export async function createToken(sql: Queries, token: NewToken): Promise<TokenRow | undefined> {
  const { userId, name, hash, expiresAt = null, scope = "admin" } = token;
  const { repositoryId = null, readsSecrets = false } = token;
  const [row] = await sql<TokenRow[]>`
    with t as (
      insert into tokens (user_id, name, hash, scope, repository_id, reads_secrets, expires_at)
      values (${userId}, ${name}, ${hash}, ${scope}, ${repositoryId}, ${readsSecrets}, ${expiresAt})
      on conflict do nothing
      returning *
    )
    select ${columns(sql)}
    from t join users u using (user_id) left join repositories r using (repository_id)`;
  return row;
}

/** Revokes a token by its name; nothing when there is none. */
export async function revokeToken(
  sql: Queries,
  userId: number,
  name: string,
): Promise<TokenRow | undefined> {
  const [row] = await sql<TokenRow[]>`
    with t as (
      update tokens set revoked_at = now()
      where user_id = ${userId} and name = ${name} and revoked_at is null
      returning *
    )
    select ${columns(sql)}
    from t join users u using (user_id) left join repositories r using (repository_id)`;
  return row;
}

/** Tells whether a token of this hash was ever created. */
export async function hasToken(sql: Queries, hash: Uint8Array): Promise<boolean> {
  const rows = await sql`select 1 from tokens where hash = ${hash}`;
  return rows.length > 0;
}

function columns(sql: Queries) {
  return sql`
    t.token_id, t.user_id, u.name as user_name, u.is_admin, u.is_deploy, t.name, t.hash, t.scope,
    t.repository_id, r.name as repository_name, t.reads_secrets, t.created_at, t.last_used_at,
    t.expires_at`;
}
