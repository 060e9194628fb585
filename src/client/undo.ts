/**
 * Undo as a working copy does it: the server takes an operation back, then the working copy
 * follows. What was asked for is written down before, so that a command that was killed in between
 * is followed up by the next one, and nothing is undone twice.
 */
import { isPogoError, type PogoError } from "#core/errors.ts";
import { toHex } from "#core/hash.ts";
import type { Operation as Message } from "#gen/pogo/v1/operation.ts";
import { answeredOperation, findOperation, listOperations } from "./operations.ts";
import type { LoggedOperation } from "./operations.ts";
import { newRequestId, type Remote } from "./remote.ts";
import type { CurrentChange } from "./state.ts";
import { moveOnto, switchTo } from "./switch.ts";
import { findDestination, recordDeparture, type Destination } from "./undo-destination.ts";
import type { CheckoutObserver } from "./working-copy/stage.ts";
import type { Workspace } from "./workspace.ts";

type Parts = { workspace: Workspace; remote: Remote };

/** What was done on the server. */
export type Undone = {
  operation: LoggedOperation;
  /** What was undone or redone, without its effects. */
  subject: Pick<LoggedOperation, "number" | "kind" | "user" | "details"> | undefined;
};

/** How the working copy followed. */
export type Followed =
  /** It was not concerned. */
  | { how: "stayed" }
  /** It is on another version, and its files are as they were. */
  | { how: "kept" }
  /** Its files are those of another version; some that were changed meanwhile were left. */
  | { how: "switched"; left: string[] }
  /** It stays, because local edits are in the way. */
  | { how: "blocked"; cause: PogoError; target: CurrentChange };

const askedKey = "undoing";
// Whoever was killed has done little else since.
const searchedMax = 1000;

/** Undoes an operation, or the user's last one; nothing when that is older than `ageMsMax`. */
export async function undoOperation(
  parts: Parts,
  number: number | undefined,
  ageMsMax?: number,
): Promise<Undone | undefined> {
  return await ask(parts, async (requestId) => {
    const request = { requestId, number: number ?? 0, ageMsMax };
    const { operation, undone } = await parts.remote.undoOperation(request);
    return { operation, subject: undone };
  });
}

/** Does again what the user undid last; nothing when that was longer ago than `ageMsMax`. */
export async function redoOperation(parts: Parts, ageMsMax?: number): Promise<Undone | undefined> {
  return await ask(parts, async (requestId) => {
    const { operation, redone } = await parts.remote.redoOperation({ requestId, ageMsMax });
    return { operation, subject: redone };
  });
}

/** Restores the repository as it was after an operation; nothing when it is so already. */
export async function restoreOperation(parts: Parts, number: number): Promise<Undone | undefined> {
  return await ask(parts, async (requestId) => {
    const { operation } = await parts.remote.restoreOperation({ requestId, number });
    return { operation, subject: undefined };
  });
}

/** Brings the working copy to where an operation has left its change. */
export async function followOperation(
  parts: Parts,
  undone: Undone,
  observer?: CheckoutObserver,
): Promise<Followed> {
  const { state } = parts.workspace;
  const before = state.current;
  const destination = await findDestination(parts, undone);
  const followed: Followed = destination
    ? await go(parts, destination, observer)
    : { how: "stayed" };
  if (followed.how === "kept" || followed.how === "switched") {
    const { number } = undone.operation;
    const { name } = state.current;
    recordDeparture(state, { number, name, how: followed.how, current: before });
  }
  state.set(askedKey, undefined);
  return followed;
}

/** Follows an operation that a killed command has asked for, if the server did it. */
export async function finishUndo(parts: Parts): Promise<Undone | undefined> {
  const { remote, workspace } = parts;
  const asked = workspace.state.get(askedKey);
  if (asked === undefined) return undefined;
  for await (const operation of listOperations(remote, { from: 0, limit: searchedMax })) {
    if (toHex(operation.requestId) !== asked) continue;
    const undone = { operation, subject: await findSubject(remote, operation) };
    await followOperation(parts, undone);
    return undone;
  }
  // It never got there.
  workspace.state.set(askedKey, undefined);
  return undefined;
}

async function ask(
  { workspace, remote }: Parts,
  call: (
    requestId: Uint8Array,
  ) => Promise<{ operation: Message | undefined; subject: Message | undefined }>,
): Promise<Undone | undefined> {
  const { state } = workspace;
  const requestId = newRequestId();
  state.set(askedKey, toHex(requestId));
  try {
    const { operation, subject } = await call(requestId);
    if (!operation) return void state.set(askedKey, undefined);
    return {
      operation: await answeredOperation(remote, operation),
      subject: subject && (await answeredOperation(remote, subject)),
    };
  } catch (error) {
    // The server refused: there is no answer that could have been lost.
    if (isPogoError(error) && error.code !== "unavailable" && error.code !== "internal") {
      state.set(askedKey, undefined);
    }
    throw error;
  }
}

async function findSubject(
  remote: Remote,
  { details }: LoggedOperation,
): Promise<Undone["subject"]> {
  if (details["undoes"] !== undefined)
    return await findOperation(remote, Number(details["undoes"]));
  if (details["redoes"] === undefined) return undefined;
  const undo = await findOperation(remote, Number(details["redoes"]));
  return await findOperation(remote, Number(undo.details["undoes"]));
}

async function go(
  parts: Parts,
  { current, how }: Destination,
  observer: CheckoutObserver | undefined,
): Promise<Followed> {
  if (how !== "keep") {
    try {
      const { kept } = await switchTo(parts, current, observer);
      return { how: "switched", left: kept };
    } catch (cause) {
      if (!isPogoError(cause, "conflict")) throw cause;
      if (how === "switch") return { how: "blocked", cause, target: current };
    }
  }
  await moveOnto(parts, current);
  return { how: "kept" };
}
