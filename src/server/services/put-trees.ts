import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, keyHash, toHex, type Hash } from "#core/hash.ts";
import { hashesPerRequestMax, snapshotFilesMax, treeBytesMax } from "#core/limits.ts";
import { foldName } from "#core/path.ts";
import { emptyTreeHash, verifyTree, type Entry } from "#core/tree.ts";
import type { PutTreesRequest, PutTreesResponse } from "#gen/pogo/v1/push.ts";
import { fromParts } from "#rpc/blobs.ts";
import { requireWrite, type Caller } from "../auth.ts";
import type { Sql } from "../db/connect.ts";
import { findObjects, type ObjectRow } from "../db/objects.ts";
import type { RepositoryRow } from "../db/repositories.ts";
import { addTrees, findTrees, type TreeRow, type TreeSize } from "../db/trees.ts";
import type { Parts } from "./calls.ts";
import { openRequests } from "./requests.ts";

type ReceivedTree = { hash: Hash; data: Uint8Array; entries: Entry[] };
type Held = { objects: Map<string, ObjectRow>; trees: Map<string, TreeSize> };

const batchBytes = 4 * 1024 * 1024;
const batchCount = 1024;
// Names that fold to themselves, which is most names.
const plainName = /^[a-z0-9_.-]*[a-z0-9_-]$/;

/** Stores the trees that arrive, children before parents, in batches. */
export async function putTrees(
  { sql }: Parts,
  requests: AsyncIterable<PutTreesRequest>,
  caller: Caller | undefined,
): Promise<PutTreesResponse> {
  const { repository: name, messages } = await openRequests(requests);
  const { repository } = await requireWrite(sql, caller, name);
  let stored = 0;
  let batch: ReceivedTree[] = [];
  let gatheredBytes = 0;
  const flush = async () => {
    const trees = batch;
    batch = [];
    gatheredBytes = 0;
    stored += await storeTrees(sql, repository.repositoryId, trees);
  };
  try {
    for await (const { hash, bytes } of fromParts(messages, treeBytesMax)) {
      const entries = verifyTree(hash, bytes);
      if (!repository.caseSensitive) checkCollisions(repository, entries);
      batch.push({ hash, data: bytes, entries });
      gatheredBytes += bytes.length;
      if (gatheredBytes >= batchBytes || batch.length >= batchCount) await flush();
    }
  } finally {
    await flush();
  }
  return { trees: stored };
}

async function storeTrees(sql: Sql, repositoryId: number, batch: ReceivedTree[]): Promise<number> {
  if (batch.length === 0) return 0;
  const held = await findNamed(sql, repositoryId, batch);
  const rows = new Map<string, TreeRow>();
  for (const { hash, data, entries } of batch) {
    const key = hashKey(hash);
    if (held.trees.has(key)) continue;
    const size = measureTree(hash, entries, held);
    // Those that follow may name it.
    held.trees.set(key, size);
    rows.set(key, { hash, data, ...size });
  }
  return rows.size === 0 ? 0 : await addTrees(sql, repositoryId, [...rows.values()]);
}

/** What the repository holds of all that a batch names, and of the batch itself. */
async function findNamed(sql: Sql, repositoryId: number, batch: ReceivedTree[]): Promise<Held> {
  const objects = new Set<string>();
  const trees = new Set(batch.map(({ hash }) => hashKey(hash)));
  for (const { entries } of batch) {
    for (const entry of entries) {
      if (entry.kind === "file") objects.add(hashKey(entry.hash));
      if (entry.kind === "directory") trees.add(hashKey(entry.hash));
    }
  }
  return {
    objects: await inPages(objects, (page) => findObjects(sql, repositoryId, page)),
    trees: await inPages(trees, (page) => findTrees(sql, repositoryId, page)),
  };
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
function measureTree(hash: Hash, entries: Entry[], held: Held): TreeSize {
  const sum = { fileCount: 0, byteCount: 0 };
  for (const entry of entries) {
    if (entry.kind === "directory") {
      const size = held.trees.get(hashKey(entry.hash));
      if (!size) throw notHeld(hash, entry.name, `tree ${toHex(entry.hash)}`);
      if (equalHashes(entry.hash, emptyTreeHash)) {
        throw new PogoError("usage", `directory ${JSON.stringify(entry.name)} is empty`);
      }
      sum.fileCount += size.fileCount;
      sum.byteCount += size.byteCount;
      continue;
    }
    if (entry.kind === "conflict") {
      throw new PogoError("usage", `${JSON.stringify(entry.name)} is a conflict: resolve it first`);
    }
    sum.fileCount += 1;
    if (entry.kind === "symlink") {
      sum.byteCount += Buffer.byteLength(entry.target);
      continue;
    }
    const row = held.objects.get(hashKey(entry.hash));
    if (!row) throw notHeld(hash, entry.name, `object ${toHex(entry.hash)}`);
    if (row.rawSize !== entry.size) {
      const message = `${JSON.stringify(entry.name)} has ${row.rawSize} bytes, not ${entry.size}`;
      throw new PogoError("corrupt", message);
    }
    sum.byteCount += entry.size;
  }
  if (sum.fileCount > snapshotFilesMax || !Number.isSafeInteger(sum.byteCount)) {
    throw new PogoError("usage", `tree ${toHex(hash)} holds more than ${snapshotFilesMax} files`);
  }
  return sum;
}

function notHeld(tree: Hash, name: string, what: string): PogoError {
  const where = `${JSON.stringify(name)} in tree ${toHex(tree)}`;
  return new PogoError("not-found", `the repository does not hold ${what}: ${where}`);
}

function checkCollisions(repository: RepositoryRow, entries: Entry[]): void {
  const names = new Map<string, string>();
  for (const { name } of entries) {
    const fold = plainName.test(name) ? name : foldName(name);
    const other = names.get(fold);
    if (other !== undefined) {
      const both = `${JSON.stringify(other)} and ${JSON.stringify(name)}`;
      throw new PogoError("usage", `${both} are one name on macOS and Windows`, {
        hint: `rename one: repository ${repository.name} does not allow both in one directory`,
      });
    }
    names.set(fold, name);
  }
}
