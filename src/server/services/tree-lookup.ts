import type { Hash } from "#core/hash.ts";
import { decodeTree, type Entry } from "#core/tree.ts";
import type { TreeReader } from "./tree-walk.ts";

/** Finds the entry at a path below a root tree. */
export async function findEntry(
  read: TreeReader,
  root: Hash,
  path: string,
): Promise<Entry | undefined> {
  let directory = root;
  const names = path.split("/");
  for (const [index, name] of names.entries()) {
    const entry = await findName(read, directory, name);
    if (!entry || index === names.length - 1) return entry;
    if (entry.kind !== "directory") return undefined;
    directory = entry.hash;
  }
  return undefined;
}

async function findName(read: TreeReader, tree: Hash, name: string): Promise<Entry | undefined> {
  for await (const { bytes } of read([tree])) {
    return decodeTree(bytes).find((entry) => entry.name === name);
  }
  return undefined;
}
