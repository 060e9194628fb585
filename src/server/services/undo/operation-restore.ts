/**
 * Puts a whole repository back to how it was after an operation. Where everything was then, the
 * effects of all later operations tell, without locks; it is applied if nothing came in between.
 */
import { PogoError } from "#core/errors.ts";
import { mutationAttemptsMax } from "#core/limits.ts";
import type { RestoreOperationRequest, RestoreOperationResponse } from "#gen/pogo/v1/operation.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import { findPlaces } from "../../db/change-places.ts";
import { transaction, type Queries, type Sql } from "../../db/connect.ts";
import { openMutation } from "../../db/mutation.ts";
import { findRequested, readHead, readStatesAfter } from "../../db/operation-log.ts";
import { findBookmarkTargets } from "../../db/bookmarks.ts";
import type { Parts } from "../calls.ts";
import { answerMessage } from "./operation-message.ts";
import { checkRequestId, recallOperation } from "../requests.ts";
import { applySteps, type Steps } from "./undo-steps.ts";

type Target = { repositoryId: number; caller: Caller; requestId: Uint8Array; number: number };
type Plan = { head: number; steps: Steps };

const kind = "restore-operation";

/** Restores a repository; see the protocol. */
export async function restoreOperation(
  { sql }: Parts,
  request: RestoreOperationRequest,
  caller: Caller | undefined,
): Promise<RestoreOperationResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const requestId = checkRequestId(request.requestId);
  const { number } = request;
  const target: Target = { repositoryId, caller: user, requestId, number };
  for (let attempt = 1; attempt <= mutationAttemptsMax; attempt++) {
    const asked = { repositoryId, requestId, caller: user, kind } as const;
    const recalled = await recallOperation(sql, asked, ({ details }) => {
      return details["restores"] === number;
    });
    const plan = recalled ? undefined : await planRestore(sql, target);
    const { changes, bookmarks } = plan?.steps ?? { changes: [], bookmarks: [] };
    if (plan && changes.length + bookmarks.length === 0) return { operation: undefined };
    if (plan && !(await attemptRestore(sql, target, plan))) continue;
    const made = await findRequested(sql, repositoryId, requestId);
    return { operation: made && answerMessage(made) };
  }
  throw new PogoError("conflict", "the repository is being changed all the time", {
    hint: "run the command again",
  });
}

async function planRestore(sql: Sql, { repositoryId, number }: Target): Promise<Plan> {
  const { number: head } = await readHead(sql, repositoryId);
  if (number > head) {
    throw new PogoError("not-found", `there is no operation ${number}: the last is ${head}`, {
      hint: "see what was done: pogo op log",
    });
  }
  const states = await readStatesAfter(sql, repositoryId, number);
  const places = await findPlaces(sql, repositoryId, [...states.changes.keys()]);
  const steps: Steps = { changes: [], bookmarks: [] };
  for (const { name, number: version, isRemoved: hidden } of places) {
    const from = { version, hidden };
    const to = states.changes.get(name) ?? { version, hidden: true };
    if (Bun.deepEquals(from, to)) continue;
    steps.changes.push({ change: name, from, to });
  }
  const targets = await findBookmarkTargets(sql, repositoryId, [...states.bookmarks.keys()]);
  for (const [bookmark, to] of states.bookmarks) {
    const from = targets.get(bookmark) ?? null;
    if (from !== to) steps.bookmarks.push({ bookmark, from, to });
  }
  return { head, steps };
}

/** Applies a plan; says no, with nothing done, if it is out of date. */
async function attemptRestore(sql: Sql, target: Target, { head, steps }: Plan): Promise<boolean> {
  const outrun = new Error("somebody was faster");
  try {
    await transaction(sql, async (tx: Queries) => {
      const { repositoryId, requestId, caller, number } = target;
      const mutation = openMutation(tx, repositoryId);
      const { elsewhere } = await applySteps({ tx, repositoryId, mutation }, steps);
      if (elsewhere) throw outrun;
      const made = await mutation.record({
        requestId,
        caller,
        kind,
        details: { restores: number },
      });
      if (made !== head + 1) throw outrun;
    });
    return true;
  } catch (error) {
    if (error === outrun) return false;
    throw error;
  }
}
