import type { RemoveChangeRequest, RemoveChangeResponse } from "#gen/pogo/v1/change.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import type { Parts } from "../calls.ts";
import { visibleParents } from "../parents.ts";
import { checkRequestId } from "../requests.ts";
import { resolveChange } from "../revision.ts";
import { tellRewriting } from "./rewrite-answer.ts";
import { rewriteHistory } from "./rewrite.ts";

/** Hides a change; what stands on it moves to its parents, with its own edits. */
export async function removeChange(
  parts: Parts,
  request: RemoveChangeRequest,
  caller: Caller | undefined,
): Promise<RemoveChangeResponse> {
  const { sql } = parts;
  const { revision } = request;
  const requestId = checkRequestId(request.requestId);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const asked = { revision };
  const rewritten = { repository, caller: user, requestId, kind: "remove-change", asked } as const;
  const effects = await rewriteHistory(parts, rewritten, async (planner) => {
    const { changeId } = await resolveChange(sql, repositoryId, revision);
    const change = await planner.read(changeId);
    const parents = await visibleParents(sql, repositoryId, change.parents);
    planner.replace(changeId, parents);
    planner.hide(change);
    planner.moveBookmarks(changeId, parents[0]?.changeId);
  });
  const rewriting = await tellRewriting(sql, repositoryId, effects, user);
  return { change: rewriting.hidden[0], rewriting };
}
