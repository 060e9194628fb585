/**
 * Wanting what is about to be deleted. A repository lets go of what nothing names, a grace period
 * after it was condemned. Whoever is told that something is held, or makes something name it,
 * revives it before: it, and all that it names. What is not condemned is safe for the grace
 * period, so a promise is kept although nothing is locked; and as a tree is condemned no later than
 * what it names, nothing that is kept ever names what is gone.
 */
import { PogoError } from "#core/errors.ts";
import { hashBytes, hashKey, keyHash, toHex, type Hash } from "#core/hash.ts";
import { decodeTree, type Entry } from "#core/tree.ts";
import { hashArray, numberArray, transaction, type Queries, type Sql } from "./connect.ts";

type Held = { isCondemned: boolean };
type Find<Row extends Held> = (
  sql: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
) => Promise<Map<string, Row>>;

// Any number that others are unlikely to lock: "hold" in ASCII.
const holdingsLock = 0x686f6c64;
// Trees bring their contents with them: a few mebibytes at a time.
const treesPerQuery = 64;
const objectsPerQuery = 4096;

/** Finds what a repository holds, and promises to keep it for the grace period at least. */
export async function promised<Row extends Held>(
  sql: Sql,
  repositoryId: number,
  hashes: readonly Hash[],
  kind: "trees" | "objects",
  find: Find<Row>,
): Promise<Map<string, Row>> {
  const found = await find(sql, repositoryId, hashes);
  if (![...found.values()].some((row) => row.isCondemned)) return found;
  return await transaction(sql, (tx) => claimed(tx, repositoryId, hashes, kind, find));
}

/** Does it in a transaction, for what is to be named in the same one: see `lockHoldings`. */
export async function claimed<Row extends Held>(
  tx: Queries,
  repositoryId: number,
  hashes: readonly Hash[],
  kind: "trees" | "objects",
  find: Find<Row>,
): Promise<Map<string, Row>> {
  const found = await find(tx, repositoryId, hashes);
  const condemned = [...found].flatMap(([key, row]) => (row.isCondemned ? [keyHash(key)] : []));
  if (condemned.length === 0) return found;
  await revive(tx, repositoryId, { trees: [], objects: [], [kind]: condemned });
  // Some of it may have been deleted just before.
  return await find(tx, repositoryId, hashes);
}

/**
 * Keeps apart, until the transaction ends, those who add or revive what names something, and who
 * condemns: else what is named could be condemned in between, and what names it later or not.
 * It is taken before any row of trees or objects is, as who condemns does: in another order two
 * could wait for each other.
 */
export async function lockHoldings(
  tx: Queries,
  repositoryId: number,
  mode: "add" | "condemn",
): Promise<void> {
  const key = tx`${holdingsLock}::integer, ${repositoryId}::integer`;
  if (mode === "add") await tx`select pg_advisory_xact_lock_shared(${key})`;
  else await tx`select pg_advisory_xact_lock(${key})`;
}

/** Takes the mark off trees and objects that are condemned, and off all that they name. */
export async function revive(
  tx: Queries,
  repositoryId: number,
  wanted: { trees: readonly Hash[]; objects: readonly Hash[] },
): Promise<void> {
  await lockHoldings(tx, repositoryId, "add");
  const trees = [...wanted.trees];
  const objects = new Map(wanted.objects.map((hash) => [hashKey(hash), hash]));
  while (trees.length > 0) {
    const page = trees.splice(-treesPerQuery);
    const rows = await tx<{ data: Uint8Array }[]>`
      update trees set condemned_at = null
      where repository_id = ${repositoryId} and hash = any(${hashArray(page)}::bytea[])
        and condemned_at is not null
      returning data`;
    for (const { data } of rows) {
      const named = namedHashes(decodeTree(data));
      trees.push(...named.trees);
      for (const hash of named.objects) objects.set(hashKey(hash), hash);
    }
    if (objects.size >= objectsPerQuery) await reviveObjects(tx, repositoryId, objects);
  }
  await reviveObjects(tx, repositoryId, objects);
}

/** Keeps the tree of a version that is to be: refuses one that is not held any more. */
export async function keepTree(tx: Queries, repositoryId: number, tree: Hash): Promise<void> {
  const find = () => tx<Held[]>`
    select condemned_at is not null as is_condemned from trees
    where repository_id = ${repositoryId} and hash = ${tree}`;
  let [row] = await find();
  if (row?.isCondemned) {
    await revive(tx, repositoryId, { trees: [tree], objects: [] });
    // It may have been deleted just before.
    [row] = await find();
  }
  if (row) return;
  const message = `the repository does not hold tree ${toHex(tree)}`;
  throw new PogoError("not-found", message, { hint: "push again" });
}

/** Brings back a version that expired, and what it is built on, while its contents are there. */
export async function keepVersion(
  tx: Queries,
  repositoryId: number,
  versionId: number,
): Promise<void> {
  const expired = await tx<{ versionId: number; tree: Hash; change: string; number: number }[]>`
    with recursive expired as (
      select ${versionId}::bigint as version_id
      union
      select p.parent_version_id from expired
      join version_parents p
        on p.repository_id = ${repositoryId} and p.version_id = expired.version_id
      join versions v on v.repository_id = ${repositoryId} and v.version_id = p.parent_version_id
      where v.expired_at is not null
    )
    select v.version_id, v.tree, v.number, c.name as change
    from expired join versions v using (version_id)
    join changes c on c.repository_id = v.repository_id and c.change_id = v.change_id
    where v.repository_id = ${repositoryId}`;
  for (const { versionId: id, tree, change, number } of expired) {
    try {
      await keepTree(tx, repositoryId, tree);
    } catch (cause) {
      const message = `version ${number} of change ${change} was given up, and its files are gone`;
      throw new PogoError("not-found", message, { cause });
    }
    await tx`
      update versions set expired_at = null
      where repository_id = ${repositoryId} and version_id = ${id}`;
  }
}

/** Which of the versions expired and cannot be brought back, as files are gone. */
export async function findGivenUp(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
): Promise<Set<number>> {
  const rows = await sql<{ versionId: number }[]>`
    with recursive expired (version_id, below) as (
      select version_id, version_id from versions
      where repository_id = ${repositoryId} and expired_at is not null
        and version_id = any(${numberArray(versionIds)}::bigint[])
      union
      select expired.version_id, p.parent_version_id from expired
      join version_parents p
        on p.repository_id = ${repositoryId} and p.version_id = expired.below
      join versions v on v.repository_id = ${repositoryId} and v.version_id = p.parent_version_id
      where v.expired_at is not null
    )
    select distinct expired.version_id from expired
    join versions v on v.repository_id = ${repositoryId} and v.version_id = expired.below
    where not exists (
      select 1 from trees t where t.repository_id = ${repositoryId} and t.hash = v.tree)`;
  return new Set(rows.map(({ versionId }) => versionId));
}

/** What the entries of a tree name: all sides and bases of a conflict. */
export function namedHashes(entries: readonly Entry[]): { trees: Hash[]; objects: Hash[] } {
  const named = { trees: [] as Hash[], objects: [] as Hash[] };
  for (const entry of entries) {
    const terms = entry.kind === "conflict" ? [...entry.sides, ...entry.bases] : [entry];
    for (const term of terms) {
      if (term?.kind === "file") named.objects.push(term.hash);
      if (term?.kind === "directory") named.trees.push(term.hash);
    }
  }
  return named;
}

/** Revives objects and their chunks, and empties the map. */
async function reviveObjects(
  tx: Queries,
  repositoryId: number,
  objects: Map<string, Hash>,
): Promise<void> {
  let left = [...objects.values()];
  objects.clear();
  while (left.length > 0) {
    const page = left.splice(-objectsPerQuery);
    const lists = await tx<{ chunks: Uint8Array }[]>`
      with revived as (
        update repository_objects set condemned_at = null
        where repository_id = ${repositoryId} and hash = any(${hashArray(page)}::bytea[])
          and condemned_at is not null
        returning hash
      )
      select chunks from revived join object_chunks using (hash)`;
    left = [...left, ...lists.flatMap(({ chunks }) => splitHashes(chunks))];
  }
}

function splitHashes(chunks: Uint8Array): Hash[] {
  const count = chunks.length / hashBytes;
  return Array.from({ length: count }, (_, index) => {
    return chunks.slice(index * hashBytes, (index + 1) * hashBytes);
  });
}
