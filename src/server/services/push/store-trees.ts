/** Stores trees whose names are all held: what a tree says of what it names is checked here. */
import type { ConflictTerm } from "#core/conflict.ts";
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, keyHash, toHex, type Hash } from "#core/hash.ts";
import { hashesPerRequestMax, snapshotFilesMax } from "#core/limits.ts";
import { emptyTreeHash, type Entry } from "#core/tree.ts";
import { transaction, type Queries, type Sql } from "../../db/connect.ts";
import { findObjects, type ObjectRow } from "../../db/objects.ts";
import { claimed, lockHoldings } from "../../db/revive.ts";
import { addTrees, findTrees, type TreeRow, type TreeSize } from "../../db/trees.ts";

export type NewTree = { hash: Hash; data: Uint8Array; entries: Entry[] };

type Held = { objects: Map<string, ObjectRow>; trees: Map<string, TreeSize> };
type Named = Exclude<Entry, { kind: "conflict" }> | (ConflictTerm & { name: string });

/**
 * Stores trees, children before parents. Says how many the repository did not hold before. Of what
 * is followed by a transaction that names them nobody waits for the disk twice: they are on it no
 * later than that transaction is.
 */
export async function storeTrees(
  sql: Sql,
  repositoryId: number,
  batch: NewTree[],
  { isFollowed = false }: { isFollowed?: boolean } = {},
): Promise<number> {
  if (batch.length === 0) return 0;
  return await transaction(sql, async (tx) => {
    // One after the other, without waiting for each.
    const [stored] = await Promise.all([
      storeBatch(tx, repositoryId, batch),
      isFollowed && tx`set local synchronous_commit to off`,
    ]);
    return stored;
  });
}

async function storeBatch(tx: Queries, repositoryId: number, batch: NewTree[]): Promise<number> {
  const [, held] = await Promise.all([
    lockHoldings(tx, repositoryId, "add"),
    findNamed(tx, repositoryId, batch),
  ]);
  const rows = new Map<string, TreeRow>();
  for (const { hash, data, entries } of batch) {
    const key = hashKey(hash);
    if (held.trees.has(key)) continue;
    const size = measureTree(hash, entries, held);
    // Those that follow may name it.
    held.trees.set(key, size);
    rows.set(key, { hash, data, ...size });
  }
  return rows.size === 0 ? 0 : await addTrees(tx, repositoryId, [...rows.values()]);
}

/** What the repository holds of all that a batch names, and of the batch itself. */
async function findNamed(tx: Queries, repositoryId: number, batch: NewTree[]): Promise<Held> {
  const objects = new Set<string>();
  const trees = new Set(batch.map(({ hash }) => hashKey(hash)));
  for (const { entries } of batch) {
    for (const entry of entries.flatMap(namedBy)) {
      if (entry.kind === "file") objects.add(hashKey(entry.hash));
      if (entry.kind === "directory") trees.add(hashKey(entry.hash));
    }
  }
  const [foundObjects, foundTrees] = await Promise.all([
    inPages(objects, (page) => claimed(tx, repositoryId, page, "objects", findObjects)),
    inPages(trees, (page) => claimed(tx, repositoryId, page, "trees", findTrees)),
  ]);
  return { objects: foundObjects, trees: foundTrees };
}

async function inPages<Row>(
  keys: Set<string>,
  find: (page: Hash[]) => Promise<Map<string, Row>>,
): Promise<Map<string, Row>> {
  const hashes = [...keys].map(keyHash);
  const found = new Map<string, Row>();
  for (let start = 0; start < hashes.length; start += hashesPerRequestMax) {
    const page = await find(hashes.slice(start, start + hashesPerRequestMax));
    for (const [key, row] of page) found.set(key, row);
  }
  return found;
}

/** Sums up a tree, and refuses one that names what is not held, or says an untrue size. */
export function measureTree(hash: Hash, entries: Entry[], held: Held): TreeSize {
  const sum = { fileCount: 0, byteCount: 0, conflicted: false };
  for (const entry of entries) {
    if (entry.kind !== "conflict") {
      addSize(sum, measureNamed(hash, entry, held));
      continue;
    }
    sum.conflicted = true;
    const { name } = entry;
    for (const side of entry.sides) {
      if (side) addSize(sum, measureNamed(hash, { ...side, name }, held));
    }
    for (const base of entry.bases) if (base) measureNamed(hash, { ...base, name }, held);
  }
  if (sum.fileCount > snapshotFilesMax || !Number.isSafeInteger(sum.byteCount)) {
    throw new PogoError("usage", `tree ${toHex(hash)} holds more than ${snapshotFilesMax} files`);
  }
  return sum;
}

function addSize(sum: TreeSize, { fileCount, byteCount, conflicted }: TreeSize): void {
  sum.fileCount += fileCount;
  sum.byteCount += byteCount;
  sum.conflicted ||= conflicted;
}

function measureNamed(tree: Hash, entry: Named, held: Held): TreeSize {
  if (entry.kind === "symlink") {
    return { fileCount: 1, byteCount: Buffer.byteLength(entry.target), conflicted: false };
  }
  if (entry.kind === "directory") {
    const size = held.trees.get(hashKey(entry.hash));
    if (!size) throw notHeld(tree, entry.name, `tree ${toHex(entry.hash)}`);
    if (!equalHashes(entry.hash, emptyTreeHash)) return size;
    throw new PogoError("usage", `directory ${JSON.stringify(entry.name)} is empty`);
  }
  const row = held.objects.get(hashKey(entry.hash));
  if (!row) throw notHeld(tree, entry.name, `object ${toHex(entry.hash)}`);
  if (row.rawSize !== entry.size) {
    const message = `${JSON.stringify(entry.name)} has ${row.rawSize} bytes, not ${entry.size}`;
    throw new PogoError("corrupt", message);
  }
  return { fileCount: 1, byteCount: entry.size, conflicted: false };
}

/** What must be held for an entry: of a conflict, every side and base. */
function namedBy(entry: Entry): Named[] {
  if (entry.kind !== "conflict") return [entry];
  const terms = [...entry.sides, ...entry.bases];
  return terms.flatMap((term) => (term ? [{ ...term, name: entry.name }] : []));
}

function notHeld(tree: Hash, name: string, what: string): PogoError {
  const where = `${JSON.stringify(name)} in tree ${toHex(tree)}`;
  return new PogoError("not-found", `the repository does not hold ${what}: ${where}`);
}
