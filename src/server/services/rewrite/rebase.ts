import { PogoError } from "#core/errors.ts";
import { parentsMax, rewrittenChangesMax } from "#core/limits.ts";
import {
  RebaseScope,
  type RebaseChangesRequest,
  type RebaseChangesResponse,
} from "#gen/pogo/v1/history.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import type { ParentRow } from "../../db/changes.ts";
import type { Sql } from "../../db/connect.ts";
import type { Parts } from "../calls.ts";
import { ancestors } from "../history.ts";
import { checkRequestId } from "../requests.ts";
import { resolveChange, resolveRevision } from "../revision.ts";
import { tellRewriting } from "./rewrite-answer.ts";
import type { Planner } from "./rewrite-plan.ts";
import { rewriteHistory } from "./rewrite.ts";

/** Gives changes other parents. */
export async function rebaseChanges(
  parts: Parts,
  request: RebaseChangesRequest,
  caller: Caller | undefined,
): Promise<RebaseChangesResponse> {
  const { sql } = parts;
  const { scope, revision, destinations } = request;
  const requestId = checkRequestId(request.requestId);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const asked = { scope, revision, destinations };
  const rewritten = { repository, caller: user, requestId, kind: "rebase", asked } as const;
  const effects = await rewriteHistory(parts, rewritten, async (planner) => {
    const { changeId } = await resolveChange(sql, repositoryId, revision);
    const parents = await resolveDestinations(sql, repositoryId, destinations);
    await planRebase(sql, repositoryId, planner, { scope, changeId, parents });
  });
  return { rewriting: await tellRewriting(sql, repositoryId, effects, user) };
}

async function planRebase(
  sql: Sql,
  repositoryId: number,
  planner: Planner,
  { scope, changeId, parents }: { scope: RebaseScope; changeId: number; parents: ParentRow[] },
): Promise<void> {
  const change = await planner.read(changeId);
  switch (scope) {
    case RebaseScope.REBASE_SCOPE_CHANGE:
      planner.replace(changeId, change.parents);
      return planner.rewrite(change, { parents });
    case RebaseScope.REBASE_SCOPE_SOURCE:
      return planner.rewrite(change, { parents });
    case RebaseScope.REBASE_SCOPE_BRANCH:
      return await planBranch(sql, repositoryId, planner, changeId, parents);
    default:
      throw new PogoError("usage", `there is no scope ${scope} of a rebase`);
  }
}

/**
 * Plans to put a change, and its ancestors that are none of the parents', onto the parents. Says
 * how many changes that are.
 */
export async function planBranch(
  sql: Sql,
  repositoryId: number,
  planner: Planner,
  tip: number,
  parents: readonly ParentRow[],
): Promise<void> {
  const branch = await readBranch(sql, repositoryId, tip, parents);
  for (const changeId of branch) {
    const change = await planner.read(changeId);
    // What else it stood on, the parents stand on.
    const inBranch = change.parents.filter((parent) => branch.has(parent.changeId));
    planner.rewrite(change, { parents: inBranch.length > 0 ? inBranch : parents });
  }
}

/** The change and its ancestors, but for those that are also ancestors of others. */
async function readBranch(
  sql: Sql,
  repositoryId: number,
  tip: number,
  others: readonly ParentRow[],
): Promise<Set<number>> {
  const branch = new Set<number>();
  const isShared = new Map(others.map(({ changeId }) => [changeId, true]));
  if (!isShared.has(tip)) isShared.set(tip, false);
  // Changes of the branch that have not been met yet. Descendants are met first.
  let ahead = isShared.get(tip) ? 0 : 1;
  const starts = [...isShared.keys()];
  for await (const { changeId, parents } of ancestors(sql, repositoryId, starts, starts.length)) {
    const shared = isShared.get(changeId)!;
    if (!shared) {
      branch.add(changeId);
      ahead--;
    }
    for (const parent of parents) {
      const known = isShared.get(parent);
      if (known === undefined && !shared) ahead++;
      if (known === false && shared) ahead--;
      isShared.set(parent, shared || known === true);
    }
    if (ahead === 0) break;
    if (branch.size <= rewrittenChangesMax) continue;
    throw new PogoError("usage", `more than ${rewrittenChangesMax} changes would be rebased`);
  }
  return branch;
}

async function resolveDestinations(
  sql: Sql,
  repositoryId: number,
  revisions: readonly string[],
): Promise<ParentRow[]> {
  if (revisions.length === 0 || revisions.length > parentsMax) {
    throw new PogoError("usage", `${revisions.length} destinations: 1 to ${parentsMax} may be`);
  }
  const parents: ParentRow[] = [];
  for (const revision of revisions) {
    const parent = await resolveParent(sql, repositoryId, revision);
    if (parents.some(({ changeId }) => changeId === parent.changeId)) {
      throw new PogoError("usage", `destination ${revision} is named twice`);
    }
    parents.push(parent);
  }
  return parents;
}

/** Finds what something is to stand on: a version of a visible change. */
export async function resolveParent(
  sql: Sql,
  repositoryId: number,
  revision: string,
): Promise<ParentRow> {
  if (revision === "") throw new PogoError("usage", "no destination is given");
  const { change, versionId } = await resolveRevision(sql, repositoryId, revision);
  if (change.isRemoved) throw new PogoError("not-found", `change ${change.name} was removed`);
  return { changeId: change.changeId, versionId };
}
