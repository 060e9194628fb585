/**
 * What a server sends is checked here, before anything is done with it: that it is what was asked
 * for, no less and no more, and that every value is one that it may be.
 */
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashBytes, hashKey, toHex, type Hash } from "#core/hash.ts";
import { isChangeName, isChangePrefix } from "#core/name.ts";
import { verifyTree } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { Blob } from "#rpc/blobs.ts";

// Dates end there.
const timeMax = 8.64e15;

/** Passes on trees whose hashes are true: the root, and then only what trees before them name. */
export async function* namedTrees(root: Hash, trees: AsyncIterable<Blob>): AsyncGenerator<Blob> {
  const named = new Set([hashKey(root)]);
  const seen = new Set<string>();
  for await (const tree of trees) {
    const key = hashKey(tree.hash);
    if (!named.delete(key)) throw wrong(`sent tree ${toHex(tree.hash)} unasked`);
    seen.add(key);
    for (const entry of verifyTree(tree.hash, tree.bytes)) {
      if (entry.kind !== "directory") continue;
      const child = hashKey(entry.hash);
      if (!seen.has(child)) named.add(child);
    }
    yield tree;
  }
}

/** Passes on objects, encoded as they are, as long as they are those asked for, in order. */
export async function* askedObjects(
  hashes: readonly Hash[],
  objects: AsyncIterable<Blob>,
): AsyncGenerator<Blob> {
  let count = 0;
  for await (const object of objects) {
    const asked = hashes[count++];
    if (!asked || !equalHashes(asked, object.hash)) {
      throw wrong(`sent object ${toHex(object.hash)} unasked`);
    }
    yield object;
  }
  const missing = hashes[count];
  if (missing) throw wrong(`did not send object ${toHex(missing)}`);
}

/** Refuses a change that is none. Its texts may hold anything: output spells out controls. */
export function checkChange(change: Change | undefined): Change {
  const { name, prefix, version, tree, createdAt, updatedAt, parents } = present(change);
  const isSound =
    isChangeName(name) &&
    prefix !== "" &&
    name.startsWith(prefix) &&
    version > 0 &&
    tree.length === hashBytes &&
    Math.abs(createdAt) <= timeMax &&
    Math.abs(updatedAt) <= timeMax &&
    parents.every((parent) => isChangeName(parent.change) && isChangePrefix(parent.prefix));
  if (isSound) return change!;
  throw wrong(`sent a change that makes no sense, ${JSON.stringify(name.slice(0, 100))}`);
}

/** The part of an answer that must be there. */
export function present<T>(part: T | undefined): T {
  if (part === undefined) throw wrong("left out a part of its answer");
  return part;
}

/** The failure of a server that did what none should do. */
export function wrong(what: string): PogoError {
  return new PogoError("corrupt", `the server ${what}`, {
    hint: "compare pogo --version here and there; if they are alike, ask who runs the server",
  });
}
