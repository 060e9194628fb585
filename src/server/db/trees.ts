/** Directories of snapshots. */
import { hashKey, type Hash } from "#core/hash.ts";
import { treesReadBytes } from "#core/limits.ts";
import { hashArray, numberArray, textArray, type Queries } from "./connect.ts";
import { noteAdded } from "./walks.ts";

/** What stands in a tree and below it: see the table. */
export type TreeSize = { fileCount: number; byteCount: number; conflicted: boolean };
export type HeldTree = TreeSize & { isCondemned: boolean };
export type TreeRow = { hash: Hash; data: Uint8Array } & TreeSize;

/** Those trees that the repository holds, by hash key; whether it is about to let go of them. */
export async function findTrees(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Map<string, HeldTree>> {
  if (hashes.length === 0) return new Map();
  const rows = await sql<({ hash: Hash } & HeldTree)[]>`
    select hash, file_count, byte_count, conflicted, condemned_at is not null as is_condemned
    from trees
    where repository_id = ${repositoryId} and hash = any(${hashArray(hashes)}::bytea[])`;
  return new Map(rows.map(({ hash, ...size }) => [hashKey(hash), size]));
}

/**
 * Reads trees in the order of the hashes asked, as many as fit in a few mebibytes and one at
 * least: who wants the rest asks for it again. A tree that the repository lacks is left out.
 */
export async function readTrees(
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
): Promise<Map<string, Uint8Array>> {
  const rows = await sql<{ hash: Hash; data: Uint8Array }[]>`
    select hash, data from (
      select t.hash, t.data, octet_length(t.data) as bytes,
        sum(octet_length(t.data)) over (order by wanted.ordinal) as bytes_so_far
      from unnest(${hashArray(hashes)}::bytea[]) with ordinality wanted (hash, ordinal)
      join trees t on t.repository_id = ${repositoryId} and t.hash = wanted.hash
    ) running
    where bytes_so_far - bytes < ${treesReadBytes}`;
  return new Map(rows.map(({ hash, data }) => [hashKey(hash), data]));
}

/** Tells whether a tree that is not there was that of a version that was given up. */
export async function isExpiredTree(
  sql: Queries,
  repositoryId: number,
  hash: Hash,
): Promise<boolean> {
  const rows = await sql`
    select 1 from versions
    where repository_id = ${repositoryId} and tree = ${hash} and expired_at is not null limit 1`;
  return rows.length > 0;
}

/** Stores trees, after all that they name. Says how many the repository did not hold before. */
export async function addTrees(
  tx: Queries,
  repositoryId: number,
  trees: readonly TreeRow[],
): Promise<number> {
  const sorted = [...trees].sort((a, b) => Buffer.compare(a.hash, b.hash));
  const hashes = sorted.map((tree) => tree.hash);
  const adding = tx`
    insert into trees (repository_id, hash, data, file_count, byte_count, conflicted)
    select ${repositoryId}::bigint, * from unnest(
      ${hashArray(hashes)}::bytea[],
      ${hashArray(sorted.map((tree) => tree.data))}::bytea[],
      ${numberArray(sorted.map((tree) => tree.fileCount))}::bigint[],
      ${numberArray(sorted.map((tree) => tree.byteCount))}::bigint[],
      ${textArray(sorted.map((tree) => String(tree.conflicted)))}::boolean[])
    on conflict do nothing
    returning 1`;
  const [rows] = await Promise.all([adding, noteAdded(tx, repositoryId, "tree", hashes)]);
  return rows.length;
}
