/** What repositories take up, and what they may. */
import { PogoError } from "#core/errors.ts";
import type { Queries } from "./connect.ts";

export type UsageRow = {
  repository: string;
  objects: number;
  rawBytes: number;
  uniqueBytes: number;
  storedBytes: number;
  quotaBytes: number | null;
};

// Any number that others are unlikely to lock: "quot" in ASCII.
const quotaLock = 0x71756f74;

/** What each repository takes up, by name. */
export async function listUsage(sql: Queries): Promise<UsageRow[]> {
  return await sql<UsageRow[]>`
    select r.name as repository, r.quota_bytes, coalesce(f.bytes, 0)::bigint as raw_bytes,
      coalesce(u.objects, 0)::bigint as objects, coalesce(u.raw_bytes, 0)::bigint as unique_bytes,
      coalesce(u.stored_bytes, 0)::bigint as stored_bytes
    from repositories r
    left join (
      select repository_id, sum(objects) as objects, sum(raw_bytes) as raw_bytes,
        sum(stored_bytes) as stored_bytes
      from repository_usage group by repository_id) u using (repository_id)
    left join (
      select repository_id, sum(size) as bytes from files
      where kind = 'file' and status <> 'deleted' group by repository_id) f using (repository_id)
    order by r.name`;
}

/** What the store has: of what several repositories hold, one. */
export async function measureStore(
  sql: Queries,
): Promise<{ objects: number; storedBytes: number }> {
  const [row] = await sql<{ objects: number; storedBytes: number }[]>`
    select count(*) as objects, coalesce(sum(stored_size), 0)::bigint as stored_bytes
    from objects where doomed_at is null`;
  return row!;
}

/** Bytes of a repository's contents, each once, uncompressed. */
export async function countContents(sql: Queries, repositoryId: number): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`
    select coalesce(sum(raw_bytes), 0)::bigint as bytes from repository_usage
    where repository_id = ${repositoryId}`;
  return row!.bytes;
}

/** Makes one row of what a repository came to hold and let go of. */
export async function addUpUsage(sql: Queries, repositoryId: number): Promise<void> {
  await sql`
    with gone as (
      delete from repository_usage where repository_id = ${repositoryId} returning *
    )
    insert into repository_usage (repository_id, objects, raw_bytes, stored_bytes)
    select repository_id, sum(objects), sum(raw_bytes), sum(stored_bytes)
    from gone group by repository_id`;
}

/** Says what a repository's contents may come to; says whether that is new. */
export async function setQuota(
  tx: Queries,
  repositoryId: number,
  quotaBytes: number | null,
): Promise<boolean> {
  const rows = await tx`
    update repositories set quota_bytes = ${quotaBytes}
    where repository_id = ${repositoryId} and quota_bytes is distinct from ${quotaBytes}::bigint
    returning 1`;
  return rows.length > 0;
}

/** Has whoever adds contents to a repository that has a quota wait for each other. */
export async function lockQuota(tx: Queries, repositoryId: number): Promise<void> {
  await tx`
    select pg_advisory_xact_lock(${quotaLock}::integer, repository_id::integer)
    from repositories where repository_id = ${repositoryId} and quota_bytes is not null`;
}

/** Refuses what was added in the transaction, under `lockQuota`, if it was too much. */
export async function requireRoom(tx: Queries, repositoryId: number): Promise<void> {
  const [row] = await tx<{ name: string; quotaBytes: number }[]>`
    select name, quota_bytes from repositories
    where repository_id = ${repositoryId} and quota_bytes is not null`;
  if (!row) return;
  const over = (await countContents(tx, repositoryId)) - row.quotaBytes;
  if (over > 0) throw overQuota(row, over);
}

/** The failure to take in contents that come to more than they may. */
export function overQuota(
  { name, quotaBytes }: { name: string; quotaBytes: number },
  overBytes: number,
): PogoError {
  const message = `repository ${name} may hold ${quotaBytes} bytes: this is ${overBytes} too many`;
  return new PogoError("denied", message, {
    hint: `push less, or have an administrator of the server raise it: pogo admin quota ${name} SIZE`,
  });
}
