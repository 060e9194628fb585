/** Whom a repository believes without a token of its own. */
import type { Scope } from "#core/role.ts";
import type { Queries } from "./connect.ts";

export type TrustRow = {
  name: string;
  issuer: string;
  audience: string;
  /** A pattern. */
  subject: string;
  scope: Exclude<Scope, "admin">;
  /** They may read the repository's secrets. */
  readsSecrets: boolean;
};

/** Lists the trusts of a repository by name. */
export async function listTrusts(sql: Queries, repositoryId: number): Promise<TrustRow[]> {
  return await sql<TrustRow[]>`
    select name, issuer, audience, subject, scope, reads_secrets
    from workload_trusts where repository_id = ${repositoryId} order by name`;
}

/** Sets a trust, in the place of the one of the same name. */
export async function setTrust(tx: Queries, repositoryId: number, trust: TrustRow): Promise<void> {
  const { name, issuer, audience, subject, scope, readsSecrets } = trust;
  await tx`
    insert into workload_trusts (repository_id, name, issuer, audience, subject, scope,
      reads_secrets)
    values (${repositoryId}, ${name}, ${issuer}, ${audience}, ${subject}, ${scope},
      ${readsSecrets})
    on conflict (repository_id, name) do update set issuer = excluded.issuer,
      audience = excluded.audience, subject = excluded.subject, scope = excluded.scope,
      reads_secrets = excluded.reads_secrets`;
}

/** Removes a trust. */
export async function removeTrust(tx: Queries, repositoryId: number, name: string): Promise<void> {
  await tx`
    delete from workload_trusts where repository_id = ${repositoryId} and name = ${name}`;
}

/** Revokes all tokens of a user, and forgets those that expired long ago. */
export async function revokeAllTokens(tx: Queries, userId: number): Promise<void> {
  await tx`
    update tokens set revoked_at = now() where user_id = ${userId} and revoked_at is null`;
}

/** Forgets tokens of a user that expired more than a day ago: programs get very many. */
export async function forgetExpiredTokens(tx: Queries, userId: number): Promise<void> {
  await tx`
    delete from tokens where user_id = ${userId} and expires_at < now() - interval '1 day'`;
}
