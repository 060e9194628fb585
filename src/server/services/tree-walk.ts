/** Walks over trees by difference: what two snapshots share is never opened. */
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, toHex, type Hash } from "#core/hash.ts";
import { pathBytesMax, pathDepthMax } from "#core/limits.ts";
import { joinPath, symlinkEscapes } from "#core/path.ts";
import { zipEntries } from "#core/tree-diff.ts";
import { decodeTree, emptyTreeHash, equalEntries, type Entry } from "#core/tree.ts";
import type { Blob } from "#rpc/blobs.ts";
import type { Queries } from "../db/connect.ts";
import type { FileChange } from "../db/files.ts";
import { isExpiredTree, readTrees } from "../db/trees.ts";

/** Yields trees that the repository holds, one for each hash, in order. */
export type TreeReader = (hashes: readonly Hash[]) => AsyncIterable<Blob>;

type Pair = { path: string; depth: number; before: Hash; after: Hash };

// Trees that are asked for in one query.
const treesPerQuery = 256;

/** Reads a repository's trees a few mebibytes at a time. */
export function treeReader(sql: Queries, repositoryId: number): TreeReader {
  return async function* (hashes) {
    let next = 0;
    while (next < hashes.length) {
      const start = next;
      const page = hashes.slice(start, start + treesPerQuery);
      const found = await readTrees(sql, repositoryId, page);
      for (const hash of page) {
        const bytes = found.get(hashKey(hash));
        if (!bytes) break;
        yield { hash, bytes };
        next++;
      }
      if (next > start) continue;
      throw await lostTree(sql, repositoryId, hashes[start]!);
    }
  };
}

/** The failure to find a tree that a version names. */
export async function lostTree(sql: Queries, repositoryId: number, hash: Hash): Promise<PogoError> {
  if (await isExpiredTree(sql, repositoryId, hash)) {
    return new PogoError("not-found", "the files of this version were given up", {
      hint: "it was removed or overwritten too long ago; see pogo log for what is there",
    });
  }
  return new PogoError("corrupt", `the database has lost tree ${toHex(hash)}`);
}

/** Yields the files, links and conflicts in which two snapshots differ, in no order. */
export async function* diffTrees(
  read: TreeReader,
  before: Hash,
  after: Hash,
): AsyncGenerator<FileChange> {
  if (equalHashes(before, after)) return;
  // From the end, so that what is held stays a few directories per level.
  const open: Pair[] = [{ path: "", depth: 0, before, after }];
  while (open.length > 0) {
    const pairs = open.splice(-treesPerQuery / 2);
    const trees = read(pairs.flatMap((pair) => [pair.before, pair.after]))[Symbol.asyncIterator]();
    for (const pair of pairs) {
      const entriesBefore = decodeTree(await nextTree(trees));
      const entriesAfter = decodeTree(await nextTree(trees));
      for (const [left, right] of zipEntries(entriesBefore, entriesAfter)) {
        if (left && right && equalEntries(left, right)) continue;
        yield* compareEntries(pair, left, right, open);
      }
    }
  }
}

/** Refuses what a snapshot may not hold and a single tree cannot tell: it depends on the path. */
function checkPlaced({ path, entry }: FileChange, depth: number): void {
  // Cheap first: no character takes more than three bytes.
  if (path.length * 3 > pathBytesMax && Buffer.byteLength(path) > pathBytesMax) {
    throw new PogoError("usage", `path ${quoted(path)} is longer than ${pathBytesMax} bytes`);
  }
  if (depth > pathDepthMax) {
    throw new PogoError("usage", `path ${quoted(path)} is deeper than ${pathDepthMax} directories`);
  }
  if (entry.kind === "symlink" && symlinkEscapes(path, entry.target)) {
    throw new PogoError("usage", `symlink ${quoted(path)} leads out of the repository`);
  }
}

function* compareEntries(
  { path: directory, depth }: Pair,
  before: Entry | undefined,
  after: Entry | undefined,
  open: Pair[],
): Generator<FileChange> {
  const path = joinPath(directory, (before ?? after)!.name);
  const hashBefore = before?.kind === "directory" ? before.hash : emptyTreeHash;
  const hashAfter = after?.kind === "directory" ? after.hash : emptyTreeHash;
  if (!equalHashes(hashBefore, hashAfter)) {
    open.push({ path, depth: depth + 1, before: hashBefore, after: hashAfter });
  }
  const leafBefore = leafOf(before);
  const leafAfter = leafOf(after);
  if (leafAfter) {
    const change: FileChange = {
      path,
      status: leafBefore ? "modified" : "added",
      entry: leafAfter,
    };
    checkPlaced(change, depth + 1);
    yield change;
  } else if (leafBefore) {
    yield { path, status: "deleted", entry: leafBefore };
  }
}

function leafOf(entry: Entry | undefined): FileChange["entry"] | undefined {
  return entry?.kind === "directory" ? undefined : entry;
}

async function nextTree(trees: AsyncIterator<Blob>): Promise<Uint8Array> {
  const next = await trees.next();
  if (next.done) throw new Error("a tree was left out");
  return next.value.bytes;
}

function quoted(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
