/** Makes another change the working copy's. */
import { equalHashes } from "#core/hash.ts";
import type { Remote } from "./remote.ts";
import type { CurrentChange } from "./state.ts";
import type { Workspace } from "./workspace.ts";

type Parts = { workspace: Workspace; remote: Remote };

export async function switchTo({ workspace }: Parts, target: CurrentChange): Promise<void> {
  if (equalHashes(target.tree, workspace.state.current.tree)) {
    workspace.state.setCurrent(target);
    return;
  }
  throw new Error("not yet");
}

export async function recoverWorkspace(_: Parts): Promise<string | undefined> {
  return undefined;
}
