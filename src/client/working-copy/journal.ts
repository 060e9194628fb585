/**
 * An operation on the files that, once begun, is finished or undone, whoever is killed meanwhile.
 *
 *   staging    contents are fetched into `.pogo/incoming`; the working copy is untouched. What is
 *              interrupted here is undone.
 *   applying   all contents are there, and files are removed and renamed into place, one after
 *              another. What is interrupted here is finished, without the server.
 *   filling    a first checkout: there was nothing that could be lost, so files are renamed into
 *              place as they come. What is interrupted here is finished with the server's help.
 *
 * A step says what stood at its path and what shall stand there. Its contents wait in
 * `.pogo/incoming` under its position; while they do, the step is not done. Until they are whole,
 * those of a large file are in `.pogo/partial` under their hash, and outlive an operation that is
 * undone: whoever wants them next goes on with them.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isPogoError } from "#core/errors.ts";
import { hashKey, toHex, type Hash } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { decodeTree, encodeTree, type Entry, type FileEntry } from "#core/tree.ts";
import type { SymlinkEntry } from "#core/tree.ts";
import type { TreeSource } from "../state-directories.ts";
import { decodeHashes, encodeHashes, type CurrentChange, type State } from "../state.ts";
import type { Workspace } from "../workspace.ts";

export type Operation = {
  kind: "checkout" | "discard" | "restore";
  phase: "staging" | "applying" | "filling";
  /** The change, and so the base, that the working copy has afterwards. */
  current: CurrentChange;
  /** Where a discard puts what it throws away, and a restore what it replaces. */
  discardId?: number;
  /** The discard that a restore brings back, and how. */
  restores?: number;
  swaps?: Swap[];
};

/** What a restore does at a path; whatever stands there is put away. */
export type Swap = {
  path: string;
  /** What was kept goes back. */
  isBack: boolean;
  /** Only the mode of what stands there changes. */
  executable?: boolean;
};

export type Step = {
  position: number;
  path: string;
  before: FileEntry | SymlinkEntry | undefined;
  after: FileEntry | SymlinkEntry | undefined;
  /** In a first checkout that goes on: what stands there may be half a file of ours. */
  mayBeTorn?: boolean;
};

/** The operation that was interrupted, if one was. */
export function interruptedOperation({ state }: Workspace): Operation | undefined {
  return decodeHashes(state.get("operation")) as Operation | undefined;
}

/** Writes down what is about to be done. */
export function beginOperation(
  workspace: Workspace,
  operation: Operation,
  steps: readonly Step[],
  trees: Iterable<{ hash: Hash; bytes: Uint8Array }>,
): void {
  const { state } = workspace;
  clearIncoming(workspace);
  clearPartial(workspace, steps);
  mkdirSync(incoming(workspace), { recursive: true });
  state.transaction(() => recordOperation(state, operation, steps, trees));
}

/** Does the writing down alone, in the caller's transaction. */
export function recordOperation(
  state: State,
  operation: Operation,
  steps: readonly Step[],
  trees: Iterable<{ hash: Hash; bytes: Uint8Array }>,
): void {
  state.set("operation", encodeHashes(operation));
  const { database } = state;
  const addTree = database.query("insert or ignore into operation_trees values (?, ?)");
  for (const { hash, bytes } of trees) addTree.run(hash, bytes);
  const addStep = database.query("insert into operation_steps values (?, ?, ?, ?)");
  for (const { position, path, before, after } of steps) {
    addStep.run(position, path, encode(before), encode(after));
  }
}

/** Enters another phase. */
export function setPhase({ state }: Workspace, phase: Operation["phase"]): void {
  const operation = state.get("operation") as Operation;
  state.set("operation", { ...operation, phase });
}

/** Reads the steps of the interrupted operation. */
export function readSteps({ state }: Workspace): Step[] {
  type Row = Pick<Step, "position" | "path"> & Record<"before" | "after", Uint8Array | null>;
  const query = state.database.query<Row, []>("select * from operation_steps order by position");
  return state
    .guard(() => query.all())
    .map(({ position, path, before, after }) => ({
      position,
      path,
      before: decode(before),
      after: decode(after),
    }));
}

/** The trees that the interrupted operation works towards, but for those of the base. */
export function operationTrees({ state }: Workspace): TreeSource {
  const query = state.database.query<{ encoded: Uint8Array }, [Hash]>(
    "select encoded from operation_trees where hash = ?",
  );
  const found = new Map<string, Uint8Array | undefined>();
  return (hash) => {
    const key = hashKey(hash);
    if (!found.has(key))
      found.set(
        key,
        state.guard(() => query.get(hash)?.encoded),
      );
    return found.get(key);
  };
}

/** Forgets the operation; to be called in the transaction that makes it true. */
export function endOperation(state: State): void {
  state.set("operation", undefined);
  state.database.run("delete from operation_trees");
  state.database.run("delete from operation_steps");
}

/**
 * Undoes an operation that has not touched the working copy yet. Large files that were fetched are
 * kept for the next one, unless the disk is full.
 */
export function undoOperation(workspace: Workspace, failure?: unknown): void {
  if (isDiskFull(failure)) clearPartial(workspace, []);
  else keepLarge(workspace);
  workspace.state.transaction(() => endOperation(workspace.state));
  clearIncoming(workspace);
}

/** Removes what was fetched and is not needed any more. */
export function clearIncoming(workspace: Workspace): void {
  rmSync(incoming(workspace), { recursive: true, force: true });
}

/** Removes unfinished files that no step wants. */
export function clearPartial(workspace: Workspace, steps: readonly Step[]): void {
  const directory = join(workspace.control, "partial");
  if (!existsSync(directory)) return;
  const wanted = new Set(
    steps.flatMap(({ after }) => (after?.kind === "file" ? [toHex(after.hash)] : [])),
  );
  const names = readdirSync(directory);
  for (const name of names) if (!wanted.has(name)) rmSync(join(directory, name), { force: true });
  if (wanted.size === 0) rmSync(directory, { recursive: true, force: true });
}

/** Where a large file is put together. */
export function partialPath({ control }: Workspace, hash: Hash): string {
  return join(control, "partial", toHex(hash));
}

/** Where the contents of a step wait. */
export function stagedPath(workspace: Workspace, { position }: { position: number }): string {
  return join(incoming(workspace), String(position));
}

function keepLarge(workspace: Workspace): void {
  for (const step of readSteps(workspace)) {
    const { after } = step;
    if (after?.kind !== "file" || after.size <= objectBytesMax) continue;
    try {
      renameSync(stagedPath(workspace, step), partialPath(workspace, after.hash));
    } catch {
      // It is not there, or will be fetched again.
    }
  }
}

function isDiskFull(failure: unknown): boolean {
  const cause = isPogoError(failure) ? (failure.cause as NodeJS.ErrnoException) : undefined;
  return cause?.code === "ENOSPC" || cause?.code === "EDQUOT";
}

function incoming(workspace: Workspace): string {
  return join(workspace.control, "incoming");
}

function encode(entry: Entry | undefined): Uint8Array | null {
  return entry ? encodeTree([entry]) : null;
}

function decode(encoded: Uint8Array | null): FileEntry | SymlinkEntry | undefined {
  return encoded ? (decodeTree(encoded)[0] as FileEntry | SymlinkEntry) : undefined;
}
