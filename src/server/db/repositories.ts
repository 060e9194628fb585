/** Repositories and who may use them. */
import { emptyTreeHash } from "#core/tree.ts";
import type { Queries } from "./connect.ts";

export type Role = "read" | "write" | "admin";

export type RepositoryRow = {
  repositoryId: number;
  name: string;
  public: boolean;
  caseSensitive: boolean;
  createdAt: Date;
  /** The asking user's; null for somebody who is no member, or nobody. */
  role: Role | null;
};

/** Finds a repository by name, with the role that the user has in it. */
export async function findRepository(
  sql: Queries,
  name: string,
  userId: number | undefined,
): Promise<RepositoryRow | undefined> {
  const [row] = await sql<RepositoryRow[]>`
    select r.repository_id, r.name, r.public, r.case_sensitive, r.created_at, m.role
    from repositories r
    left join repository_members m
      on m.repository_id = r.repository_id and m.user_id = ${userId ?? null}
    where r.name = ${name}`;
  return row;
}

/** Lists the repositories that the user, or anyone, may read, by name, after the given one. */
export async function listRepositories(
  sql: Queries,
  query: { userId: number | undefined; after: string; limit: number },
): Promise<RepositoryRow[]> {
  return await sql<RepositoryRow[]>`
    select r.repository_id, r.name, r.public, r.case_sensitive, r.created_at, m.role
    from repositories r
    left join repository_members m
      on m.repository_id = r.repository_id and m.user_id = ${query.userId ?? null}
    where r.name > ${query.after} and (r.public or m.role is not null)
    order by r.name
    limit ${query.limit}`;
}

/** Creates a repository that holds the empty tree; nothing when the name is taken. */
export async function createRepository(
  tx: Queries,
  repository: { name: string; public: boolean; caseSensitive: boolean; creatorId: number },
): Promise<RepositoryRow | undefined> {
  const [row] = await tx<RepositoryRow[]>`
    insert into repositories (name, public, case_sensitive)
    values (${repository.name}, ${repository.public}, ${repository.caseSensitive})
    on conflict do nothing
    returning repository_id, name, public, case_sensitive, created_at, 'admin' as role`;
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
