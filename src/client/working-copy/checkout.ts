/** Makes the files of another snapshot the working copy's; see journal.ts for interruptions. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { assert } from "#core/errors.ts";
import { equalHashes } from "#core/hash.ts";
import { emptyTreeHash } from "#core/tree.ts";
import { moveBase, recordedStats, type TreeSource } from "../state-directories.ts";
import type { CurrentChange } from "../state.ts";
import type { Workspace } from "../workspace.ts";
import { applyStep, isReachable, newApplied, removeEmptied, type Applied } from "./apply.ts";
import {
  noConflicts,
  promoteConflicts,
  saveNextConflicts,
  withConflictObjects,
  type RenderedConflicts,
} from "./conflict-records.ts";
import { finishDiscard } from "./discard.ts";
import {
  beginOperation,
  clearIncoming,
  clearPartial,
  endOperation,
  interruptedOperation,
  operationTrees,
  readSteps,
  setPhase,
  undoOperation,
  type Operation,
  type Step,
} from "./journal.ts";
import { planCheckout } from "./plan.ts";
import { finishRestore } from "./restore-discard.ts";
import { scan } from "./scan.ts";
import {
  needsStaging,
  placeSteps,
  stageSteps,
  type CheckoutObserver,
  type CheckoutParts,
} from "./stage.ts";
import { isSettled, readClock, type Stat } from "./stat.ts";

export type CheckoutResult = {
  /** Files and links that were written or changed their mode, and that were removed. */
  written: number;
  removed: number;
  /** Paths that somebody wrote to meanwhile: they were left alone, and now differ from the base. */
  kept: string[];
};

/** What became of an interrupted operation. */
export type Recovery = {
  kind: Operation["kind"];
  outcome: "finished" | "undone";
  /** The change that the operation was to lead to. */
  target: CurrentChange;
  kept: string[];
};

/** What tells of a checkout, and how the conflicts of its target will stand. */
export type CheckoutOptions = {
  observer?: CheckoutObserver | undefined;
  conflicts?: RenderedConflicts;
};

const silent: CheckoutObserver = { add() {} };

/**
 * Checks out the tree of a change, which becomes the current one. Local edits elsewhere stay; one
 * that is in the way is a conflict, and then nothing is touched. `trees` finds those trees of the
 * target that the base does not have. The caller holds the lock.
 */
export async function checkout(
  parts: CheckoutParts,
  current: CurrentChange,
  trees: TreeSource,
  { observer = silent, conflicts = noConflicts }: CheckoutOptions = {},
): Promise<CheckoutResult> {
  const { workspace } = parts;
  const { state } = workspace;
  assert(interruptedOperation(workspace) === undefined, "an interrupted operation is recovered");
  const { differences } = scan(workspace);
  const plan = planCheckout(workspace, trees, current.tree, differences, conflicts);
  const local = localParts(parts);
  // Without a base there is nothing to lose by a file that stands before the others do.
  if (equalHashes(state.current.tree, emptyTreeHash)) {
    beginOperation(workspace, { kind: "checkout", phase: "filling", current }, [], plan.trees);
    saveNextConflicts(state, conflicts);
    return await fill(local, plan.steps, current, trees, observer);
  }
  const operation = { kind: "checkout", phase: "staging", current } as const;
  beginOperation(workspace, operation, plan.steps, plan.trees);
  saveNextConflicts(state, conflicts);
  try {
    await stageSteps(local, plan.steps, observer);
  } catch (error) {
    undoOperation(workspace, error);
    throw error;
  }
  setPhase(workspace, "applying");
  return applyAll(workspace, plan.steps, current, trees);
}

/**
 * Finishes or undoes what an earlier command was interrupted in. Only an interrupted first
 * checkout needs the source. The caller holds the lock.
 */
export async function recover(
  parts: CheckoutParts,
  { observer = silent, conflicts = noConflicts }: CheckoutOptions = {},
): Promise<Recovery | undefined> {
  const { workspace } = parts;
  const operation = interruptedOperation(workspace);
  if (!operation) return undefined;
  const { kind, phase, current: target } = operation;
  if (phase === "staging") {
    undoOperation(workspace);
    return { kind, outcome: "undone", target, kept: [] };
  }
  if (kind === "restore") {
    const { kept } = finishRestore(workspace, operation);
    return { kind, outcome: "finished", target, kept };
  }
  if (operation.discardId !== undefined) {
    const { kept } = finishDiscard(workspace, operation.discardId, readSteps(workspace));
    return { kind, outcome: "finished", target, kept };
  }
  const trees = operationTrees(workspace);
  if (phase === "applying") {
    const { kept } = applyAll(workspace, readSteps(workspace), target, trees);
    return { kind, outcome: "finished", target, kept };
  }
  clearIncoming(workspace);
  mkdirSync(join(workspace.control, "incoming"));
  const { records } = conflicts;
  const options = { keepStanding: true, records };
  const { steps } = planCheckout(workspace, trees, target.tree, [], options);
  saveNextConflicts(workspace.state, conflicts);
  const { kept } = await fill(localParts(parts), steps, target, trees, observer);
  return { kind, outcome: "finished", target, kept };
}

async function fill(
  parts: CheckoutParts,
  steps: readonly Step[],
  current: CurrentChange,
  trees: TreeSource,
  observer: CheckoutObserver,
): Promise<CheckoutResult> {
  const { workspace } = parts;
  const applied = newApplied();
  const destination = {
    place(step: Step) {
      if (isReachable(workspace, step.path, applied, true)) return join(workspace.root, step.path);
      applied.kept.push(step.path);
      return undefined;
    },
    placed({ path, mayBeTorn }: Step, isWritten: boolean, stat: Stat | undefined) {
      if (stat) applied.stats.set(path, stat);
      // Half a file was mended, or is somebody's whole one.
      if (!isWritten && !mayBeTorn) applied.kept.push(path);
    },
    staged: (step: Step) => applyStep(workspace, step, applied),
  };
  await placeSteps(parts, steps, destination, observer);
  return finish(workspace, steps, applied, current, trees);
}

function applyAll(
  workspace: Workspace,
  steps: readonly Step[],
  current: CurrentChange,
  trees: TreeSource,
): CheckoutResult {
  const applied = newApplied();
  const expected = recordedStats(workspace.state);
  const [removals, writes] = [steps.filter(isRemoval), steps.filter((step) => !isRemoval(step))];
  for (const step of removals)
    applyStep(workspace, step, applied, { expected: expected(step.path) });
  removeEmptied(workspace, applied);
  for (const step of writes) applyStep(workspace, step, applied, { expected: expected(step.path) });
  return finish(workspace, steps, applied, current, trees);
}

function finish(
  workspace: Workspace,
  steps: readonly Step[],
  { stats, kept }: Applied,
  current: CurrentChange,
  trees: TreeSource,
): CheckoutResult {
  const { state } = workspace;
  const clock = readClock(workspace.control);
  const known = {
    file(path: string) {
      const stat = stats.get(path);
      return stat && clock && isSettled(stat, clock) ? stat : undefined;
    },
  };
  moveBase(state, current, trees, known, () => {
    endOperation(state);
    promoteConflicts(state);
  });
  clearIncoming(workspace);
  clearPartial(workspace, []);
  const removed = steps.filter(isRemoval).length;
  return { written: steps.length - removed, removed, kept };
}

/** Contents that were made here are not to be had from the server. */
function localParts({ workspace, fetch }: CheckoutParts): CheckoutParts {
  return { workspace, fetch: withConflictObjects(workspace.state, fetch) };
}

function isRemoval(step: Step): boolean {
  return step.after === undefined && !needsStaging(step);
}
