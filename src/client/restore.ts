/** Puts files of the working copy back as they are in another snapshot: as edits. */
import { PogoError } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { equalEntries, type Entry, type FileEntry, type SymlinkEntry } from "#core/tree.ts";
import { compareSnapshots } from "./compare.ts";
import type { Remote } from "./remote.ts";
import { remoteObjects } from "./switch.ts";
import { putBack, type Discard, type Replaced } from "./working-copy/discard.ts";
import { hashWorkingFile } from "./working-copy/read.ts";
import { scan, type Difference } from "./working-copy/scan.ts";
import type { CheckoutObserver } from "./working-copy/stage.ts";
import type { Workspace } from "./workspace.ts";

type Parts = { workspace: Workspace; remote: Remote };

/**
 * Restores those files that are wanted and differ, and keeps what they were as a discard; nothing
 * when there are none. The caller holds the lock.
 */
export async function restoreFiles(
  { workspace, remote }: Parts,
  tree: Hash,
  isWanted: (path: string) => boolean,
  observer: CheckoutObserver,
): Promise<{ discard: Discard; kept: string[] } | undefined> {
  const replaced: Replaced[] = [];
  const local = new Map<string, Difference>();
  for (const difference of scan(workspace).differences) local.set(difference.path, difference);
  const { current } = workspace.state;
  for await (const { path, old, new: next } of compareSnapshots(remote, current.tree, tree)) {
    const edited = local.get(path);
    local.delete(path);
    if (!isWanted(path)) continue;
    replaced.push(...differing(workspace, path, next, edited ? edited.after : plain(old), old));
  }
  for (const [path, { before, after }] of local) {
    if (isWanted(path)) replaced.push(...differing(workspace, path, before, after, before));
  }
  refuseConflicts(replaced);
  return await putBack({ workspace, fetch: remoteObjects(remote) }, replaced, observer);
}

/** Compares what is to stand at a path with what stands there; `base` says whether that is much. */
function differing(
  { root }: Workspace,
  path: string,
  before: Entry | undefined,
  after: Replaced["after"],
  base: Entry | undefined,
): Replaced[] {
  if (!after && base?.kind === "conflict") return [{ path, status: "modified", before, after }];
  if (!before && !after) return [];
  if (!before) return [{ path, status: "added", before, after }];
  if (!after) return [{ path, status: "deleted", before, after }];
  let hashed = after;
  if (after.kind === "file" && !after.hash) {
    const { hash, size } = hashWorkingFile(root, path);
    hashed = { ...after, hash, size };
  }
  if (equalEntries(before, hashed as Entry)) return [];
  return [{ path, status: "modified", before, after: hashed }];
}

function plain(entry: Entry | undefined): FileEntry | SymlinkEntry | undefined {
  return entry?.kind === "file" || entry?.kind === "symlink" ? entry : undefined;
}

function refuseConflicts(replaced: readonly Replaced[]): void {
  const open = replaced.find(({ before }) => before?.kind === "conflict");
  if (!open) return;
  throw new PogoError("conflict", `${JSON.stringify(open.path)} is in conflict there`, {
    hint: "name other paths, or go there to resolve it: pogo edit REV",
  });
}
