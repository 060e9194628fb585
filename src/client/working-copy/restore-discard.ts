/**
 * Brings back what was discarded. What was kept goes back to its path, and what stands there now is
 * kept as a discard in its place, so that nothing is lost and the same can be done the other way
 * round. All of it are renames, so it needs no server; the journal holds the whole list, and what
 * is interrupted is finished.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, renameSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { assert, PogoError } from "#core/errors.ts";
import type { Workspace } from "../workspace.ts";
import { isReachable, newApplied, removeEmptied, removeEmptyDirectories } from "./apply.ts";
import {
  addDiscard,
  discardDirectory,
  forgetOld,
  listDiscards,
  type Discard,
  type DiscardedFile,
} from "./discard.ts";
import {
  endOperation,
  interruptedOperation,
  recordOperation,
  type Operation,
  type Swap,
} from "./journal.ts";
import { isExecutable } from "./stat.ts";
import { writing } from "./writing.ts";

/** What was brought back, where what stood there is now, and where something stood in the way. */
export type RestoredDiscard = { files: DiscardedFile[]; replaced: Discard; kept: string[] };

/** The last discard that is not brought back, or that was made again by a redo. */
export function findUndoableDiscard(workspace: Workspace): Discard | undefined {
  const undone = new Set<number>();
  for (const discard of listDiscards(workspace)) {
    const { id, kind, reverses } = discard;
    if (undone.has(id)) continue;
    if (kind === "undo") undone.add(reverses!);
    else return discard;
  }
  return undefined;
}

/** What the last undo of a discard replaced, if nothing was discarded since. */
export function findRedoableDiscard(workspace: Workspace): Discard | undefined {
  const undone = new Set<number>();
  for (const discard of listDiscards(workspace)) {
    const { id, kind, reverses } = discard;
    if (undone.has(id)) continue;
    if (kind === "undo") return discard;
    if (kind === "discard") return undefined;
    undone.add(reverses!);
  }
  return undefined;
}

/** Brings a discard back. The caller holds the lock. */
export function restoreDiscard(
  workspace: Workspace,
  discard: Discard,
  kind: "undo" | "redo",
): RestoredDiscard {
  const { state } = workspace;
  assert(interruptedOperation(workspace) === undefined, "an interrupted operation is recovered");
  const swaps = planSwaps(workspace, discard);
  if (swaps.length === 0) {
    throw new PogoError("not-found", `nothing is left in ${discard.directory}`, {
      hint: "what was discarded can be taken out of a backup of it only",
    });
  }
  const id = (listDiscards(workspace)[0]?.id ?? 0) + 1;
  const operation: Operation = {
    kind: "restore",
    phase: "applying",
    current: state.current,
    discardId: id,
    restores: discard.id,
    swaps,
  };
  const files = swaps.map(({ path, executable }): DiscardedFile => {
    const stat = standing(join(workspace.root, path));
    if (executable !== undefined) {
      return { path, status: "modified", executable: !executable };
    }
    return { path, status: stat ? "modified" : "deleted" };
  });
  state.transaction(() => {
    recordOperation(state, operation, [], []);
    addDiscard(state, { id, change: discard.change, files, kind, reverses: discard.id });
  });
  const { kept } = finishRestore(workspace, operation);
  const replaced = listDiscards(workspace).find((other) => other.id === id);
  assert(replaced, "what was replaced is recorded");
  const paths = new Set(swaps.map(({ path }) => path));
  return { files: discard.files.filter(({ path }) => paths.has(path)), replaced, kept };
}

/** Does, or goes on with, what was begun; says where something was in the way. */
export function finishRestore(workspace: Workspace, operation: Operation): { kept: string[] } {
  const { root, state } = workspace;
  const { swaps = [], restores = 0, discardId = 0 } = operation;
  const sources = discardDirectory(workspace, restores);
  const targets = discardDirectory(workspace, discardId);
  const applied = newApplied();
  const isDirectoryAbove = (path: string) => isReachable(workspace, path, applied, false);
  for (const { path, isBack, executable } of swaps) {
    if (isBack || executable !== undefined) continue;
    if (!isDirectoryAbove(path)) continue;
    if (standing(join(root, path)) && !putAway(root, targets, path)) applied.kept.push(path);
    applied.emptied.add(dirname(path) === "." ? "" : dirname(path));
  }
  removeEmptied(workspace, applied);
  for (const { path, isBack, executable } of swaps) {
    if (executable !== undefined) setExecutable(join(root, path), path, executable);
    // Brought back before an interruption.
    if (!isBack || !standing(join(sources, path))) continue;
    const isFree = !standing(join(root, path)) || putAway(root, targets, path);
    if (isFree && isReachable(workspace, path, applied, true)) {
      writing(path, () => renameSync(join(sources, path), join(root, path)));
    } else applied.kept.push(path);
  }
  state.transaction(() => endOperation(state));
  forgetOld(workspace);
  return { kept: applied.kept };
}

/** What is to be done, or why it cannot be; nothing is touched. */
function planSwaps(workspace: Workspace, { files, directory }: Discard): Swap[] {
  const { root } = workspace;
  const swaps = files.flatMap(({ path, status, executable }): Swap[] => {
    if (standing(join(directory, path))) return [{ path, isBack: true }];
    if (executable !== undefined) return [{ path, isBack: false, executable }];
    // What is neither kept nor was deleted stayed where it was.
    return status === "deleted" ? [{ path, isBack: false }] : [];
  });
  const leaving = new Set(swaps.map(({ path }) => path));
  for (const { path } of swaps) {
    const obstacle = findObstacle(root, path, leaving);
    if (obstacle === undefined) continue;
    throw new PogoError("conflict", `${JSON.stringify(obstacle)} is in the way`, {
      hint: "move it away, then run the command again",
    });
  }
  return swaps;
}

/** A path that cannot make room: a file where a directory must be, or the reverse. */
function findObstacle(
  root: string,
  path: string,
  leaving: ReadonlySet<string>,
): string | undefined {
  for (let above = dirname(path); above !== "."; above = dirname(above)) {
    const stat = standing(join(root, above));
    if (stat && !stat.isDirectory() && !leaving.has(above)) return above;
  }
  const isDirectory = (at: string) => {
    return standing(join(root, at))?.isDirectory() === true;
  };
  if (!isDirectory(path)) return undefined;
  const waiting = [path];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const name of readdirSync(join(root, directory))) {
      const below = `${directory}/${name}`;
      if (isDirectory(below)) waiting.push(below);
      else if (!leaving.has(below)) return below;
    }
  }
  return undefined;
}

/** Moves what stands at a path to where it is kept; not if it came there in between. */
function putAway(root: string, directory: string, path: string): boolean {
  const target = join(directory, path);
  const isDirectory = lstatSync(join(root, path)).isDirectory();
  if (isDirectory) return removeEmptyDirectories(join(root, path));
  if (standing(target)) return false;
  writing(path, () => {
    mkdirSync(dirname(target), { recursive: true });
    renameSync(join(root, path), target);
  });
  return true;
}

function setExecutable(absolute: string, path: string, executable: boolean): void {
  const stat = standing(absolute);
  if (!stat?.isFile() || isExecutable(stat.mode) === executable) return;
  const mode = stat.mode & 0o777;
  const wanted = executable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111;
  writing(path, () => chmodSync(absolute, wanted));
}

/** What stands at a path; nothing either where a directory above is none. */
function standing(absolute: string): Stats | undefined {
  try {
    return lstatSync(absolute, { throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw error;
  }
}
