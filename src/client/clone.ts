/**
 * Makes a working copy of what is on a server. It begins as a working copy whose first checkout
 * was interrupted, and is then recovered: a clone that is killed anywhere is finished by the next
 * command in the same way.
 */
import { existsSync, readdirSync } from "node:fs";
import { PogoError } from "#core/errors.ts";
import type { Remote } from "./remote.ts";
import type { Binding, CurrentChange } from "./state.ts";
import { fetchTrees, recoverWorkspace } from "./switch.ts";
import { interruptedOperation, recordOperation } from "./working-copy/journal.ts";
import type { CheckoutObserver } from "./working-copy/stage.ts";
import {
  createWorkspace,
  findRoot,
  isScratch,
  openWorkspace,
  type Workspace,
} from "./workspace.ts";

/** Clones into a directory that is empty or not there yet. The working copy is the caller's. */
export async function clone(
  remote: Remote,
  root: string,
  binding: Binding,
  draft: CurrentChange,
  observer: CheckoutObserver,
): Promise<Workspace> {
  const trees = await fetchTrees(remote, draft.tree, undefined);
  const operation = { kind: "checkout", phase: "filling", current: draft } as const;
  const workspace = createWorkspace(root, binding, draft, (state) => {
    recordOperation(state, operation, [], trees.values());
  });
  return await finish(remote, workspace, observer);
}

/** Goes on with a clone that was interrupted; nothing if there was none in that directory. */
export async function resumeClone(
  remote: Remote,
  root: string,
  binding: Pick<Binding, "server" | "repository">,
  observer: CheckoutObserver,
): Promise<Workspace | undefined> {
  if (findRoot(root) !== root) return undefined;
  const workspace = openWorkspace(root);
  const { server, repository } = workspace.state.binding;
  const isSame = server === binding.server && repository === binding.repository;
  if (!isSame || interruptedOperation(workspace)?.phase !== "filling") {
    workspace[Symbol.dispose]();
    return undefined;
  }
  return await finish(remote, workspace, observer);
}

/** Refuses a directory that holds anything but what a killed clone left. */
export function checkEmpty(root: string): void {
  if (!existsSync(root) || readdirSync(root).every(isScratch)) return;
  throw new PogoError("already-exists", `${root} is not empty`, {
    hint: "clone into another directory: pogo clone URL/NAME DIR",
  });
}

async function finish(
  remote: Remote,
  workspace: Workspace,
  observer: CheckoutObserver,
): Promise<Workspace> {
  try {
    using _ = await workspace.lock();
    await recoverWorkspace({ workspace, remote }, observer);
    return workspace;
  } catch (error) {
    workspace[Symbol.dispose]();
    throw error;
  }
}
