/** The working copy that a command stands in, and paths as they are typed there. */
import { lstatSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";

import { baseEntry } from "#client/state-directories.ts";
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

/** Refuses a path that stands neither here nor elsewhere: about one mistyped, silence would lie. */
export async function requireKnownPaths(
  workspace: Workspace,
  paths: readonly string[],
  elsewhere: { name: string; has: (path: string) => Promise<boolean> },
): Promise<void> {
  for (const path of paths) {
    if (path === "" || stands(workspace, path) || (await elsewhere.has(path))) continue;
    const message = `${JSON.stringify(path)} is neither in the working copy nor in ${elsewhere.name}`;
    throw new PogoError("not-found", message, { hint: "see what there is: pogo ls" });
  }
}

function stands({ root, state }: Workspace, path: string): boolean {
  try {
    lstatSync(join(root, path));
    return true;
  } catch {
    // What cannot be looked at is for others to tell.
    return baseEntry(state, path) !== undefined;
  }
}

/** Turns a path as typed into a path in the repository; "" is its root. */
export function repositoryPath(workspace: Workspace, cwd: string, typed: string): string {
  const path = relative(workspace.root, resolve(cwd, typed));
  if (path === ".." || path.startsWith(`..${sep}`)) {
    throw new PogoError("usage", `${JSON.stringify(typed)} is outside the working copy`);
  }
  return path.split(sep).join("/");
}
