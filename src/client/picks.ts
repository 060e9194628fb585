/** Edits that were picked out of a change, put together on the server as a snapshot. */
import { hashKey, sha256, type Hash } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import type { Entry } from "#core/tree.ts";
import type { TreeLoader } from "#core/tree-diff.ts";
import { putEntries } from "#core/tree-pick.ts";
import { readDirectory } from "./compare.ts";
import type { Remote } from "./remote.ts";

/** What is to stand at a path: an entry that the server knows, or a file with these bytes. */
export type Pick = { path: string; entry: Entry | undefined; bytes?: Uint8Array };

/** Sends a snapshot with what was picked in place; says its root. */
export async function sendPicks(remote: Remote, root: Hash, picks: readonly Pick[]): Promise<Hash> {
  const objects: { hash: Hash; bytes: Uint8Array }[] = [];
  const entries = new Map<string, Entry | undefined>();
  for (const { path, entry, bytes } of picks) {
    if (!bytes || entry?.kind !== "file") {
      entries.set(path, entry);
      continue;
    }
    const hash = sha256(bytes);
    objects.push({ hash, bytes: encodeObject(bytes) });
    entries.set(path, { ...entry, hash, size: bytes.length });
  }
  const loadTrees: TreeLoader = async (hashes) => {
    const loaded = new Map<string, readonly Entry[]>();
    for (const hash of hashes) loaded.set(hashKey(hash), await readDirectory(remote, hash));
    return loaded;
  };
  const built = await putEntries(loadTrees, root, entries);
  if (objects.length > 0) await remote.putObjects(objects);
  const trees = built.trees.map(({ hash, encoded }) => ({ hash, bytes: encoded }));
  if (trees.length > 0) await remote.putTrees(trees);
  return built.root;
}
