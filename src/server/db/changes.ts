/** Changes, their versions, and the parents of versions. */
import type { Hash } from "#core/hash.ts";
import { numberArray, type Queries } from "./connect.ts";
import { keepTree, keepVersion } from "./revive.ts";

export type ChangeRow = {
  changeId: number;
  name: string;
  authorId: number;
  versionId: number;
  isRemoved: boolean;
};

export type VersionRow = {
  versionId: number;
  changeId: number;
  number: number;
  tree: Hash;
  description: string;
  authorId: number;
  generation: number;
};

/** A parent: a version, and the change that it belongs to. */
export type ParentRow = { changeId: number; versionId: number };

/** A version that is to be. */
export type NewVersion = {
  changeId: number;
  tree: Hash;
  description: string;
  authorId: number;
  parents: readonly ParentRow[];
  baseVersionId: number | undefined;
  /** The change does not move to it. */
  isDiverged?: boolean;
};

/** Finds a change by its whole name, hidden or not. */
export async function findChange(
  sql: Queries,
  repositoryId: number,
  name: string,
): Promise<ChangeRow | undefined> {
  const [row] = await sql<ChangeRow[]>`
    select change_id, name, author_id, version_id, removed_at is not null as is_removed
    from changes where repository_id = ${repositoryId} and name = ${name}`;
  return row;
}

/** Reads changes by id. */
export async function readChanges(
  sql: Queries,
  repositoryId: number,
  changeIds: readonly number[],
): Promise<ChangeRow[]> {
  return await sql<ChangeRow[]>`
    select change_id, name, author_id, version_id, removed_at is not null as is_removed
    from changes
    where repository_id = ${repositoryId}
      and change_id = any(${numberArray(changeIds)}::bigint[])`;
}

/**
 * Locks changes until the transaction ends: against everything, or only against being rewritten
 * and removed. The order is the same for everybody, so that nobody waits in a circle. Says how
 * they are now.
 */
export async function lockChanges(
  tx: Queries,
  repositoryId: number,
  changeIds: readonly number[],
  mode: "update" | "share",
): Promise<ChangeRow[]> {
  return await tx<ChangeRow[]>`
    select change_id, name, author_id, version_id, removed_at is not null as is_removed
    from changes
    where repository_id = ${repositoryId}
      and change_id = any(${numberArray(changeIds)}::bigint[])
    order by change_id
    ${mode === "update" ? tx`for update` : tx`for share`}`;
}

/** Reads a version by id. */
export async function readVersion(
  sql: Queries,
  repositoryId: number,
  versionId: number,
): Promise<VersionRow> {
  const [row] = await sql<VersionRow[]>`
    select version_id, change_id, number, tree, description, author_id, generation
    from versions where repository_id = ${repositoryId} and version_id = ${versionId}`;
  if (!row) throw new Error(`version ${versionId} is gone`);
  return row;
}

/** Reads when a version was made. */
export async function readVersionTime(
  sql: Queries,
  repositoryId: number,
  versionId: number,
): Promise<Date> {
  const [row] = await sql<{ createdAt: Date }[]>`
    select created_at from versions
    where repository_id = ${repositoryId} and version_id = ${versionId}`;
  if (!row) throw new Error(`version ${versionId} is gone`);
  return row.createdAt;
}

/** Finds a version by its number. */
export async function findVersion(
  sql: Queries,
  repositoryId: number,
  changeId: number,
  number: number,
): Promise<VersionRow | undefined> {
  // The wire's numbers are larger than the column's.
  if (number > 2 ** 31 - 1) return undefined;
  const [row] = await sql<VersionRow[]>`
    select version_id, change_id, number, tree, description, author_id, generation
    from versions
    where repository_id = ${repositoryId} and change_id = ${changeId} and number = ${number}`;
  return row;
}

/** Reads a version that an operation names: by its change and its number. */
export async function readNamedVersion(
  sql: Queries,
  repositoryId: number,
  name: string,
  number: number,
): Promise<VersionRow> {
  const [row] = await sql<VersionRow[]>`
    select v.version_id, v.change_id, v.number, v.tree, v.description, v.author_id, v.generation
    from changes c
    join versions v using (repository_id, change_id)
    where c.repository_id = ${repositoryId} and c.name = ${name} and v.number = ${number}`;
  if (!row) throw new Error(`version ${number} of ${name} is gone`);
  return row;
}

/** Finds a later version that the author made with the same contents, as a repeated push would. */
export async function findTwin(
  sql: Queries,
  repositoryId: number,
  after: VersionRow,
  twin: { tree: Hash; description: string; authorId: number },
): Promise<VersionRow | undefined> {
  const [row] = await sql<VersionRow[]>`
    select version_id, change_id, number, tree, description, author_id, generation
    from versions
    where repository_id = ${repositoryId} and change_id = ${after.changeId}
      and number > ${after.number} and tree = ${twin.tree}
      and description = ${twin.description} and author_id = ${twin.authorId}
    order by number desc limit 1`;
  return row;
}

/** Reads the parents of a version, in order. */
export async function readParents(
  sql: Queries,
  repositoryId: number,
  versionId: number,
): Promise<ParentRow[]> {
  return await sql<ParentRow[]>`
    select parent_change_id as change_id, parent_version_id as version_id
    from version_parents
    where repository_id = ${repositoryId} and version_id = ${versionId}
    order by ordinal`;
}

/** Tells whether a bookmark points at the change, or it has a visible child. */
export async function isPinned(
  sql: Queries,
  repositoryId: number,
  changeId: number,
): Promise<boolean> {
  const [row] = await sql<{ isPinned: boolean }[]>`
    select exists (
      select 1 from bookmarks where repository_id = ${repositoryId} and change_id = ${changeId}
    ) or exists (
      select 1 from version_parents p
      cross join lateral (
        select 1 from changes c
        where c.repository_id = ${repositoryId} and c.version_id = p.version_id
          and c.removed_at is null
        limit 1) child
      where p.repository_id = ${repositoryId} and p.parent_change_id = ${changeId}
    ) as is_pinned`;
  return row?.isPinned ?? false;
}

/** Creates a change that has no version yet; nothing when the name is taken. */
export async function insertChange(
  tx: Queries,
  change: { repositoryId: number; name: string; authorId: number },
): Promise<number | undefined> {
  const { repositoryId, name, authorId } = change;
  const [row] = await tx<{ changeId: number }[]>`
    insert into changes (repository_id, name, author_id)
    values (${repositoryId}, ${name}, ${authorId})
    on conflict do nothing
    returning change_id`;
  return row?.changeId;
}

/** Adds a version to a change. The change does not move. */
export async function insertVersion(
  tx: Queries,
  repositoryId: number,
  version: NewVersion,
): Promise<VersionRow> {
  const { changeId, tree, description, authorId, parents, baseVersionId } = version;
  const { isDiverged = false } = version;
  const madeFrom = parents.map((parent) => parent.versionId);
  const parentIds = numberArray(madeFrom);
  // What it is merged from when the change diverges.
  if (baseVersionId !== undefined) madeFrom.push(baseVersionId);
  const [expired] = await Promise.all([
    tx<{ versionId: number }[]>`
      select version_id from versions
      where repository_id = ${repositoryId} and expired_at is not null
        and version_id = any(${numberArray(madeFrom)}::bigint[])`,
    keepTree(tx, repositoryId, tree),
  ]);
  for (const { versionId } of expired) await keepVersion(tx, repositoryId, versionId);
  const [row] = await tx<VersionRow[]>`
    with version as (
      insert into versions (repository_id, change_id, number, tree, description, author_id,
        generation, base_version_id, diverged)
      select ${repositoryId}::bigint, ${changeId}::bigint,
        (select coalesce(max(number), 0) + 1 from versions
          where repository_id = ${repositoryId} and change_id = ${changeId}),
        ${tree}, ${description}, ${authorId},
        (select coalesce(max(generation), 0) + 1 from versions
          where repository_id = ${repositoryId} and version_id = any(${parentIds}::bigint[])),
        ${baseVersionId ?? null}::bigint, ${isDiverged}
      returning version_id, change_id, number, tree, description, author_id, generation
    ), parents as (
      insert into version_parents (repository_id, version_id, ordinal, parent_change_id,
        parent_version_id)
      select ${repositoryId}::bigint, version.version_id, ordinal, parent.change_id,
        parent.version_id
      from version cross join unnest(
        ${numberArray(parents.map((parent) => parent.changeId))}::bigint[],
        ${parentIds}::bigint[]) with ordinality parent (change_id, version_id, ordinal)
    )
    select * from version`;
  if (!row) throw new Error("a version was not inserted");
  return row;
}
