/** Lists directories as they stand in the working copy: what a push would publish of them. */
import { joinPath } from "#core/path.ts";
import { compareNames, type Entry } from "#core/tree.ts";
import { baseEntry, directoryRow, rowEntries } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import { scan, type ChangedFile, type Difference } from "./scan.ts";

/** An entry of the base that stands, a file that changed, or a directory that is new. */
export type ListedEntry = Entry | ChangedFile | { kind: "directory"; name: string };

/** Entries of a directory, or the one of a file; none if there is no such path. */
export function listWorkingCopy(workspace: Workspace, path: string): ListedEntry[] {
  const differing = new Map<string, Difference>();
  for (const difference of scan(workspace).differences) differing.set(difference.path, difference);
  const entries = new Map<string, ListedEntry>();
  for (const entry of baseEntries(workspace, path)) {
    const child = joinPath(path, entry.name);
    if (stands(workspace, child, entry, differing)) entries.set(entry.name, entry);
  }
  const prefix = path === "" ? "" : `${path}/`;
  for (const { path: changed, after } of differing.values()) {
    if (!after || !changed.startsWith(prefix)) continue;
    const [name = "", ...below] = changed.slice(prefix.length).split("/");
    entries.set(name, below.length > 0 ? { kind: "directory", name } : after);
  }
  if (entries.size === 0 && path !== "") {
    const changed = differing.get(path);
    const file = changed ? changed.after : baseEntry(workspace.state, path);
    return file && file.kind !== "directory" ? [file] : [];
  }
  return [...entries.values()].sort((a, b) => compareNames(a.name, b.name));
}

function baseEntries({ state }: Workspace, path: string): Entry[] {
  const row = directoryRow(state, path);
  return row ? rowEntries(state, row) : [];
}

/** Tells whether an entry of the base is still there; of a directory, any file below it. */
function stands(
  workspace: Workspace,
  path: string,
  entry: Entry,
  differing: ReadonlyMap<string, Difference>,
): boolean {
  if (entry.kind !== "directory") return differing.get(path)?.status !== "deleted";
  return baseEntries(workspace, path).some((below) => {
    return stands(workspace, joinPath(path, below.name), below, differing);
  });
}
