/**
 * Puts files back as in the base. What is thrown away is moved to `.pogo/discarded/N/`, under the
 * paths it had, and recorded, so that it can be brought back.
 *
 * Kept are the newest `discardsKept` discards, none longer than `discardDays`, but always the last
 * one; the others are removed when something is discarded.
 */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert } from "#core/errors.ts";
import type { FileEntry } from "#core/tree.ts";
import { equalHashes } from "#core/hash.ts";
import { dayMs, discardDays, discardsKept } from "#core/limits.ts";
import type { State } from "../state.ts";
import type { Workspace } from "../workspace.ts";
import { applyStep, newApplied, removeEmptied, statOf } from "./apply.ts";
import {
  beginOperation,
  clearIncoming,
  clearPartial,
  endOperation,
  interruptedOperation,
  setPhase,
  undoOperation,
  type Step,
} from "./journal.ts";
import { baseConflicts, pruneConflicts, withConflictObjects } from "./conflict-records.ts";
import { scan, type Difference } from "./scan.ts";
import { stageSteps, type CheckoutObserver, type CheckoutParts } from "./stage.ts";
import { writing } from "./writing.ts";

export type DiscardedFile = {
  path: string;
  status: Difference["status"];
  /** Of a file that only stopped being executable, or became so: which it was. */
  executable?: boolean;
};

/** What was thrown away at one time. */
export type Discard = {
  id: number;
  /** Made by `discard`; or by undo or redo, when it brought back the discard `reverses`. */
  kind: "discard" | "undo" | "redo";
  reverses: number | null;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** Name of the change that the edits belonged to. */
  change: string;
  files: DiscardedFile[];
  /** Where the files are kept. */
  directory: string;
};

/** A file that differs from what it is to be, and how. */
export type Replaced = Pick<Difference, "path" | "status" | "before"> & {
  after: Difference["after"] | FileEntry;
};

const silent: CheckoutObserver = { add() {} };

/**
 * Discards the differences that are wanted; nothing when there are none. The caller holds the lock.
 */
export async function discard(
  parts: CheckoutParts,
  isWanted: (path: string) => boolean,
  observer: CheckoutObserver = silent,
): Promise<{ discard: Discard; kept: string[] } | undefined> {
  // Conflicts that came with a side that was taken are what people put there, like its files.
  pruneConflicts(parts.workspace, isWanted);
  const { differences } = scan(parts.workspace);
  const wanted = differences.filter(({ path }) => isWanted(path));
  return await putBack(parts, wanted, observer);
}

/** Puts files back as they are `before`, in the base or elsewhere, and keeps what stands there. */
export async function putBack(
  parts: CheckoutParts,
  differences: readonly Replaced[],
  observer: CheckoutObserver = silent,
): Promise<{ discard: Discard; kept: string[] } | undefined> {
  if (differences.length === 0) return undefined;
  const { workspace } = parts;
  const { state } = workspace;
  assert(interruptedOperation(workspace) === undefined, "an interrupted operation is recovered");
  const steps = planDiscard(workspace, differences);
  const discardId = (listDiscards(workspace)[0]?.id ?? 0) + 1;
  const { current } = state;
  const operation = { kind: "discard", phase: "staging", current, discardId } as const;
  beginOperation(workspace, operation, steps, []);
  try {
    const fetch = withConflictObjects(state, parts.fetch);
    await stageSteps({ workspace, fetch }, steps, observer);
  } catch (error) {
    undoOperation(workspace, error);
    throw error;
  }
  const files = differences.map(describe);
  state.transaction(() => {
    const change = current.name;
    addDiscard(state, { id: discardId, change, files, kind: "discard", reverses: null });
    setPhase(workspace, "applying");
  });
  const { kept } = finishDiscard(workspace, discardId, steps);
  const [newest] = listDiscards(workspace);
  assert(newest?.id === discardId, "the discard is recorded");
  return { discard: newest, kept };
}

/** Does, or goes on with, what a discard has begun. */
export function finishDiscard(
  workspace: Workspace,
  discardId: number,
  steps: readonly Step[],
): { kept: string[] } {
  const { root, state } = workspace;
  const directory = discardDirectory(workspace, discardId);
  const applied = newApplied();
  const displace = (path: string) => {
    const target = join(directory, path);
    // Thrown away before an interruption: what stands there now came later.
    if (statOf(target)) return false;
    writing(path, () => {
      mkdirSync(dirname(target), { recursive: true });
      renameSync(join(root, path), target);
    });
    return true;
  };
  for (const step of steps) if (!step.after) applyStep(workspace, step, applied, { displace });
  removeEmptied(workspace, applied);
  for (const step of steps) if (step.after) applyStep(workspace, step, applied, { displace });
  state.transaction(() => endOperation(state));
  clearIncoming(workspace);
  clearPartial(workspace, []);
  forgetOld(workspace);
  return { kept: applied.kept };
}

/** Records that something is thrown away now. */
export function addDiscard(
  { database }: State,
  { id, change, files, kind, reverses }: Omit<Discard, "createdAt" | "directory">,
): void {
  database.run(
    `insert into discards (id, created_at, change, files, kind, reverses)
     values (?, ?, ?, ?, ?, ?)`,
    [id, Date.now(), change, JSON.stringify(files), kind, reverses],
  );
}

/** What was discarded and is still kept, newest first. */
export function listDiscards(workspace: Workspace): Discard[] {
  type Row = Omit<Discard, "files" | "directory"> & { files: string };
  const query = workspace.state.database.query<Row, []>(
    `select id, created_at as createdAt, change, files, kind, reverses
     from discards order by id desc`,
  );
  return workspace.state
    .guard(() => query.all())
    .map((row) => ({
      ...row,
      files: JSON.parse(row.files) as DiscardedFile[],
      directory: discardDirectory(workspace, row.id),
    }));
}

/** What a difference was; which files are kept tells the rest. */
function describe({ path, status, before, after }: Replaced): DiscardedFile {
  const isFile = before?.kind === "file" && after?.kind === "file" && after.hash !== undefined;
  const isMode = isFile && equalHashes(before.hash, after.hash!);
  return { path, status, ...(isMode && { executable: after.executable }) };
}

function planDiscard({ root, state }: Workspace, differences: readonly Replaced[]): Step[] {
  const conflicts = baseConflicts(state);
  const steps = differences.flatMap(({ path, before, after }): Omit<Step, "position">[] => {
    // A file of which only the mode differs is not displaced.
    const known = after?.kind === "file" && after.hash ? { ...after, hash: after.hash } : undefined;
    if (before?.kind !== "conflict") {
      assert(before?.kind !== "directory", "a plain path differs");
      return [{ path, before: known, after: before }];
    }
    const files = conflicts.get(path)?.files ?? [];
    const missing = files.filter((file) => file.path === path || !statOf(join(root, file.path)));
    const written = missing.map((file) => {
      return { path: file.path, before: undefined, after: file.entry };
    });
    const isMarked = files.some((file) => file.path === path);
    return isMarked || !after ? written : [{ path, before: known, after: undefined }, ...written];
  });
  return steps.map((step, position) => ({ position, ...step }));
}

/** Forgets the discards that are too old, or too many. */
export function forgetOld(workspace: Workspace): void {
  const oldest = Date.now() - discardDays * dayMs;
  const discards = listDiscards(workspace);
  for (const [index, { id, createdAt, directory }] of discards.entries()) {
    if (index === 0 || (index < discardsKept && createdAt >= oldest)) continue;
    rmSync(directory, { recursive: true, force: true });
    workspace.state.database.run("delete from discards where id = ?", [id]);
  }
}

/** Where a discard keeps what it threw away. */
export function discardDirectory({ control }: Workspace, id: number): string {
  return join(control, "discarded", String(id));
}
