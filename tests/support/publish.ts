/** Pushing snapshots without a working copy. */
import type { Remote } from "#client/remote.ts";
import { newRequestId } from "#client/remote.ts";
import { keyHash, type Hash } from "#core/hash.ts";
import { changeName } from "#core/name.ts";
import { encodeObject } from "#core/object.ts";
import { encodeTree } from "#core/tree.ts";
import type { CommitRequest, CommitResponse } from "#gen/pogo/v1/push.ts";
import { MemoryStore, type Snapshot } from "./snapshot.ts";

/** Makes up the name of a change. */
export function newChangeName(): string {
  return changeName(crypto.getRandomValues(new Uint8Array(8)));
}

/** Sends all files and trees of a snapshot; returns its root. */
export async function upload(remote: Remote, snapshot: Snapshot): Promise<Hash> {
  const store = new MemoryStore();
  const root = store.add(snapshot);
  await remote.putObjects(
    [...store.files].map(([key, bytes]) => ({ hash: keyHash(key), bytes: encodeObject(bytes) })),
  );
  await remote.putTrees(
    [...store.trees].map(([key, entries]) => ({ hash: keyHash(key), bytes: encodeTree(entries) })),
  );
  return root;
}

/** Commits a snapshot: a new change unless told otherwise. */
export async function publish(
  remote: Remote,
  snapshot: Snapshot,
  request: Partial<Omit<CommitRequest, "repository" | "tree">> = {},
): Promise<CommitResponse> {
  return await remote.commit({
    requestId: newRequestId(),
    change: newChangeName(),
    expectedVersion: 0,
    tree: await upload(remote, snapshot),
    parents: [],
    child: newChangeName(),
    ...request,
  });
}
