/** Repositories and who may use them. */
import type { Role, Scope } from "#core/role.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Queries } from "./connect.ts";

/** Who asks: what decides which role that is. */
export type Reach = {
  userId: number;
  /** The user administers the server, and so all of it. */
  isAdmin: boolean;
  /** What the token allows at most. */
  scope: Scope;
  /** The only repository that the token is good for. */
  repositoryId: number | null;
};

export type RepositoryRow = {
  repositoryId: number;
  name: string;
  public: boolean;
  caseSensitive: boolean;
  /** The most that its contents may come to. */
  quotaBytes: number | null;
  createdAt: Date;
  /** What the asking user may do by this token; null for somebody who is no member, or nobody. */
  role: Role | null;
  /** What the user may do, whatever the token allows. */
  memberRole: Role | null;
};

/** Finds a repository by name, with the role that the user has in it. */
export async function findRepository(
  sql: Queries,
  name: string,
  reach: Reach | undefined,
): Promise<RepositoryRow | undefined> {
  const [row] = await sql<RepositoryRow[]>`
    select ${columns(sql)}, granted.*
    from repositories r cross join lateral (${grantedRole(sql, reach)}) granted
    where r.name = ${name}`;
  return row;
}

/** Lists the repositories that the user, or anyone, may read, by name, after the given one. */
export async function listRepositories(
  sql: Queries,
  query: { reach: Reach | undefined; after: string; limit: number },
): Promise<RepositoryRow[]> {
  return await sql<RepositoryRow[]>`
    select ${columns(sql)}, granted.*
    from repositories r cross join lateral (${grantedRole(sql, query.reach)}) granted
    where r.name > ${query.after} and (r.public or granted.role is not null)
    order by r.name
    limit ${query.limit}`;
}

/** Creates a repository that holds the empty tree; nothing when the name is taken. */
export async function createRepository(
  tx: Queries,
  repository: { name: string; public: boolean; caseSensitive: boolean; creatorId: number },
): Promise<RepositoryRow | undefined> {
  const [row] = await tx<RepositoryRow[]>`
    insert into repositories as r (name, public, case_sensitive)
    values (${repository.name}, ${repository.public}, ${repository.caseSensitive})
    on conflict do nothing
    returning ${columns(tx)}, 'admin' as role, 'admin' as member_role`;
  if (!row) return undefined;
  await tx`
    insert into repository_members (repository_id, user_id, role)
    values (${row.repositoryId}, ${repository.creatorId}, 'admin')`;
  await tx`
    insert into trees (repository_id, hash, data, file_count, byte_count, conflicted)
    values (${row.repositoryId}, ${emptyTreeHash}, ''::bytea, 0, 0, false)`;
  return row;
}

/** Lets directories hold names that differ in case alone; says whether that is new. */
export async function allowCaseCollisions(tx: Queries, repositoryId: number): Promise<boolean> {
  const rows = await tx`
    update repositories set case_sensitive = true
    where repository_id = ${repositoryId} and not case_sensitive
    returning 1`;
  return rows.length > 0;
}

/** Lets anyone read a repository, or members only; says whether that is new. */
export async function setVisibility(
  tx: Queries,
  repositoryId: number,
  isPublic: boolean,
): Promise<boolean> {
  const rows = await tx`
    update repositories set public = ${isPublic}
    where repository_id = ${repositoryId} and public <> ${isPublic}
    returning 1`;
  return rows.length > 0;
}

function columns(sql: Queries) {
  return sql`r.repository_id, r.name, r.public, r.case_sensitive, r.quota_bytes, r.created_at`;
}

/** The roles, by the token and without it, of who asks in the repository `r`. */
function grantedRole(sql: Queries, reach: Reach | undefined) {
  if (!reach) return sql`select null as role, null as member_role`;
  const { userId, isAdmin, scope, repositoryId } = reach;
  // A role that is null must not come near `least`, which would take the other one.
  return sql`
    select max(least(role, ${scope}::repository_role))
        filter (where coalesce(${repositoryId}::bigint = r.repository_id, true)) as role,
      max(role) as member_role
    from (
      select role from repository_members m
      where m.repository_id = r.repository_id and m.user_id = ${userId}
      union all
      select m.role from group_members g join repository_groups m using (group_id)
      where m.repository_id = r.repository_id and g.user_id = ${userId}
      union all
      select 'admin' where ${isAdmin}
    ) given`;
}
