/** Compares two snapshots that are on the server, fetching only the trees that differ. */
import { equalHashes, hashKey, type Hash } from "#core/hash.ts";
import { decodeTree, emptyTreeHash, type Entry } from "#core/tree.ts";
import { diffTrees, type TreeDifference, type TreeLoader } from "#core/tree-diff.ts";
import type { Remote } from "./remote.ts";

/** Yields the paths that differ between two root trees, sorted. */
export async function* compareSnapshots(
  remote: Remote,
  old: Hash,
  next: Hash,
): AsyncGenerator<TreeDifference> {
  if (equalHashes(old, next)) return;
  const trees = new Map<string, Uint8Array>();
  for (const [root, held] of [
    [old, next],
    [next, old],
  ] as const) {
    if (hashKey(root) === hashKey(emptyTreeHash)) continue;
    for await (const { hash, bytes } of remote.getTrees(root, held)) {
      trees.set(hashKey(hash), bytes);
    }
  }
  // A tree that stands elsewhere in the other snapshot was not sent: it is asked for by itself.
  const load: TreeLoader = async (hashes) => {
    const loaded = new Map<string, readonly Entry[]>();
    for (const hash of hashes) {
      const bytes = trees.get(hashKey(hash));
      loaded.set(hashKey(hash), bytes ? decodeTree(bytes) : await readDirectory(remote, hash));
    }
    return loaded;
  };
  yield* diffTrees(load, old, next);
}

/** Fetches the entries of one directory. */
export async function readDirectory(remote: Remote, hash: Hash): Promise<Entry[]> {
  for await (const tree of remote.getTrees(hash, undefined)) {
    return decodeTree(tree.bytes);
  }
  return [];
}
