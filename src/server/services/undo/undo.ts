/** Undo and redo: an operation's effects are taken back by another operation. */
import { PogoError } from "#core/errors.ts";
import type {
  RedoOperationRequest,
  RedoOperationResponse,
  UndoOperationRequest,
  UndoOperationResponse,
} from "#gen/pogo/v1/operation.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import { transaction, type Queries } from "../../db/connect.ts";
import { openMutation } from "../../db/mutation.ts";
import {
  findMover,
  findOperationAt,
  findRequested,
  listReversals,
  listOwn,
  type OperationRow,
  type OwnOperation,
} from "../../db/operation-log.ts";
import type { Parts } from "../calls.ts";
import { answerMessage, subjectMessage, undoneOperations } from "./operation-message.ts";
import { checkRequestId, recallOperation } from "../requests.ts";
import { findObstacle } from "./undo-rules.ts";
import { applySteps, reverseSteps } from "./undo-steps.ts";

type Target = { repositoryId: number; caller: Caller; requestId: Uint8Array };
type Kind = "undo" | "redo";

// The first is nearly always the one.
const pageMin = 4;
const pageMax = 256;
const logHint = "see what was done: pogo op log";

/** Undoes an operation; see the protocol. */
export async function undoOperation(
  { sql }: Parts,
  request: UndoOperationRequest,
  caller: Caller | undefined,
): Promise<UndoOperationResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const requestId = checkRequestId(request.requestId);
  const target: Target = { repositoryId, caller: user, requestId };
  const { number, ageMsMax } = request;
  const found = await transaction(sql, async (tx) => {
    const asked = { repositoryId, requestId, caller: user, kind: "undo" } as const;
    const recalled = await recallOperation(tx, asked, ({ details }) => {
      return number === 0 || details["undoes"] === number;
    });
    if (recalled) return Number(recalled.details["undoes"]);
    const chosen = number === 0 ? await findUndoable(tx, target, ageMsMax) : number;
    if (chosen !== undefined) await reverse(tx, target, "undo", chosen);
    return chosen;
  });
  if (found === undefined) return { operation: undefined, undone: undefined };
  const made = await findRequested(sql, repositoryId, requestId);
  const undone = await findOperationAt(sql, repositoryId, found);
  return { operation: made && answerMessage(made), undone: undone && subjectMessage(undone) };
}

/** Reverses the caller's last undo; see the protocol. */
export async function redoOperation(
  { sql }: Parts,
  request: RedoOperationRequest,
  caller: Caller | undefined,
): Promise<RedoOperationResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const requestId = checkRequestId(request.requestId);
  const target: Target = { repositoryId, caller: user, requestId };
  const found = await transaction(sql, async (tx) => {
    const asked = { repositoryId, requestId, caller: user, kind: "redo" } as const;
    const recalled = await recallOperation(tx, asked);
    if (recalled) return Number(recalled.details["redoes"]);
    const chosen = await findRedoable(tx, target, request.ageMsMax);
    if (chosen !== undefined) await reverse(tx, target, "redo", chosen);
    return chosen;
  });
  const undo = found === undefined ? undefined : await findOperationAt(sql, repositoryId, found);
  if (!undo) return { operation: undefined, redone: undefined };
  const made = await findRequested(sql, repositoryId, requestId);
  const redone = await findOperationAt(sql, repositoryId, Number(undo.details["undoes"]));
  return { operation: made && answerMessage(made), redone: redone && subjectMessage(redone) };
}

/** Takes back what an operation did, all of it, and records that. */
async function reverse(tx: Queries, target: Target, kind: Kind, number: number): Promise<void> {
  const { repositoryId, caller, requestId } = target;
  const operation = await findOperationAt(tx, repositoryId, number);
  if (!operation) {
    throw new PogoError("not-found", `there is no operation ${number}`, { hint: logHint });
  }
  const steps = reverseSteps(operation.effects);
  if (steps.changes.length + steps.bookmarks.length === 0) {
    const message = `${nameOf(operation)} moved no change and no bookmark: there is nothing to undo`;
    throw new PogoError("usage", message, { hint: logHint });
  }
  const undoneBy = undoneOperations(await listReversals(tx, repositoryId, number)).get(number);
  if (undoneBy !== undefined) {
    const message = `${nameOf(operation)} is undone already, by operation ${undoneBy}`;
    throw new PogoError("conflict", message, { hint: `bring it back: pogo undo ${undoneBy}` });
  }
  const mutation = openMutation(tx, repositoryId);
  const applied = await applySteps({ tx, repositoryId, mutation }, steps);
  const obstacle = applied.elsewhere
    ? await describeMove(tx, repositoryId, number, applied.elsewhere)
    : await findObstacle(tx, repositoryId, applied.moves, steps.bookmarks);
  if (obstacle !== undefined) {
    const verb = kind === "undo" ? "undone" : "done again";
    const what = kind === "undo" ? nameOf(operation) : `what ${nameOf(operation)} undid`;
    throw new PogoError("conflict", `${what} cannot be ${verb}: ${obstacle}`, {
      hint: `${logHint}; pogo op restore N brings back everything as it was after operation N`,
    });
  }
  const details = kind === "undo" ? { undoes: number } : { redoes: number };
  await mutation.record({ requestId, caller, kind, details });
}

async function describeMove(
  tx: Queries,
  repositoryId: number,
  after: number,
  moved: { change: string } | { bookmark: string },
): Promise<string> {
  const what = "change" in moved ? `change ${moved.change}` : `bookmark ${moved.bookmark}`;
  const mover = await findMover(tx, repositoryId, after, moved);
  return `${what} has moved since${mover ? `, by ${nameOf(mover)}` : ""}`;
}

function nameOf({ number, kind, user }: Pick<OperationRow, "number" | "kind" | "user">): string {
  return `operation ${number} (${kind} by ${user})`;
}

/** The caller's last operation that moved something and is not undone. */
async function findUndoable(
  tx: Queries,
  target: Target,
  ageMsMax: number | undefined,
): Promise<number | undefined> {
  for await (const operation of walkOwn(tx, target)) {
    const { number, kind, hasEffects, ageMs } = operation;
    if (kind === "undo" || kind === "redo" || !hasEffects) continue;
    return ageMsMax !== undefined && ageMs > ageMsMax ? undefined : number;
  }
  if (ageMsMax !== undefined) return undefined;
  throw new PogoError("not-found", "you have done nothing here that could be undone", {
    hint: `${logHint}; pogo undo N undoes operation N, whosever it is`,
  });
}

/** The caller's last undo that is in force, unless the caller did something else since. */
async function findRedoable(
  tx: Queries,
  target: Target,
  ageMsMax: number | undefined,
): Promise<number | undefined> {
  for await (const { number, kind, ageMs } of walkOwn(tx, target)) {
    if (kind === "redo") continue;
    if (ageMsMax !== undefined && ageMs > ageMsMax) return undefined;
    if (kind === "undo") return number;
    break;
  }
  throw new PogoError("not-found", "there is nothing to redo", {
    hint: "only what was undone last can be redone, as long as nothing else was done since",
  });
}

/** What the caller did and nobody has undone, newest first. */
async function* walkOwn(
  tx: Queries,
  { repositoryId, caller }: Target,
): AsyncGenerator<OwnOperation> {
  let before = Number.MAX_SAFE_INTEGER;
  for (let size = pageMin; ; size = Math.min(size * 4, pageMax)) {
    const page = await listOwn(tx, repositoryId, caller.userId, before, size);
    const last = page.at(-1);
    if (!last) return;
    const undone = undoneOperations(await listReversals(tx, repositoryId, last.number));
    for (const operation of page) if (!undone.has(operation.number)) yield operation;
    before = last.number;
  }
}
