/** The working copy that a command stands in, and paths as they are typed there. */
import { relative, resolve, sep } from "node:path";

import { interruptedOperation } from "#client/working-copy/journal.ts";
import { openWorkspace, type Workspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import type { Context } from "./context.ts";

/** Opens a working copy for a command that does not ask the server, unless it must to recover. */
export async function openRecovered(context: Context): Promise<Workspace> {
  const workspace = openWorkspace(context.cwd);
  if (!interruptedOperation(workspace)) return workspace;
  workspace[Symbol.dispose]();
  // The connection and all that belongs to it take longer to load than a whole status takes.
  const { openSession } = await import("./session.ts");
  await using session = await openSession(context);
  return openWorkspace(session.workspace.root);
}

/** Tells which paths are, or are below, any of these; all are when there are none. */
export function pathFilter(paths: readonly string[]): (path: string) => boolean {
  if (paths.length === 0) return () => true;
  return (path) => {
    return paths.some((above) => above === "" || path === above || path.startsWith(`${above}/`));
  };
}

/** Turns a path as typed into a path in the repository; "" is its root. */
export function repositoryPath(workspace: Workspace, cwd: string, typed: string): string {
  const path = relative(workspace.root, resolve(cwd, typed));
  if (path === ".." || path.startsWith(`..${sep}`)) {
    throw new PogoError("usage", `${JSON.stringify(typed)} is outside the working copy`);
  }
  return path.split(sep).join("/");
}
