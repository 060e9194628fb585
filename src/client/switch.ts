/** Brings the working copy to another change, and an interrupted one to where it was going. */
import { equalHashes, hashKey, type Hash } from "#core/hash.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Remote } from "./remote.ts";
import { renderConflicts } from "./render-conflicts.ts";
import { moveBase } from "./state-directories.ts";
import type { CurrentChange } from "./state.ts";
import { checkout, recover, type CheckoutResult, type Recovery } from "./working-copy/checkout.ts";
import { pruneConflicts } from "./working-copy/conflict-records.ts";
import { interruptedOperation, operationTrees } from "./working-copy/journal.ts";
import type { CheckoutObserver, ObjectSource } from "./working-copy/stage.ts";
import type { Workspace } from "./workspace.ts";

type Parts = { workspace: Workspace; remote: Remote };

/** The objects of a repository, as a checkout asks for them. */
export function remoteObjects(remote: Remote): ObjectSource {
  return (wanted) => remote.getObjects(wanted.map(({ hash }) => hash));
}

/**
 * Makes a change the working copy's. Only trees and objects that differ are fetched. Local edits
 * stay; one that is in the way is a conflict, and then nothing is touched.
 */
export async function switchTo(
  { workspace, remote }: Parts,
  target: CurrentChange,
  observer?: CheckoutObserver,
): Promise<CheckoutResult> {
  const base = workspace.state.current.tree;
  if (equalHashes(target.tree, base)) {
    workspace.state.setCurrent(target);
    return { written: 0, removed: 0, kept: [] };
  }
  const trees = await fetchTrees(remote, target.tree, base);
  const source = (hash: Hash) => trees.get(hashKey(hash))?.bytes;
  const conflicts = await renderConflicts({ workspace, remote }, target, source);
  const parts = { workspace, fetch: remoteObjects(remote) };
  return await checkout(parts, target, source, { observer, conflicts });
}

/** Puts the working copy on another change with its files as they are: they become its edits. */
export async function moveOnto({ workspace, remote }: Parts, target: CurrentChange): Promise<void> {
  const { state } = workspace;
  const trees = await fetchTrees(remote, target.tree, state.current.tree);
  moveBase(state, target, (hash) => trees.get(hashKey(hash))?.bytes);
  pruneConflicts(workspace);
}

/** Finishes or undoes what an earlier command was interrupted in. */
export async function recoverWorkspace(
  { workspace, remote }: Parts,
  observer?: CheckoutObserver,
): Promise<Recovery | undefined> {
  const parts = { workspace, fetch: remoteObjects(remote) };
  const operation = interruptedOperation(workspace);
  if (operation?.phase !== "filling") return await recover(parts, { observer });
  const trees = operationTrees(workspace);
  const conflicts = await renderConflicts({ workspace, remote }, operation.current, trees);
  return await recover(parts, { observer, conflicts });
}

/** Fetches the trees of a snapshot that stand nowhere in another, by key of their hash. */
export async function fetchTrees(
  remote: Remote,
  root: Hash,
  held: Hash | undefined,
): Promise<Map<string, { hash: Hash; bytes: Uint8Array }>> {
  const trees = new Map<string, { hash: Hash; bytes: Uint8Array }>();
  if (equalHashes(root, emptyTreeHash)) return trees;
  for await (const tree of remote.getTrees(root, held)) trees.set(hashKey(tree.hash), tree);
  return trees;
}
