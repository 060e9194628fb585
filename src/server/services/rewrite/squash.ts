import { PogoError } from "#core/errors.ts";
import { equalHashes, type Hash } from "#core/hash.ts";
import { rewrittenChangesMax } from "#core/limits.ts";
import { checkPath } from "#core/path.ts";
import { pickPaths } from "#core/tree-pick.ts";
import type { SquashChangeRequest, SquashChangeResponse } from "#gen/pogo/v1/history.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import type { Sql } from "../../db/connect.ts";
import { readDescendants, type CurrentRow } from "../../db/descendants.ts";
import type { Parts } from "../calls.ts";
import { checkDescription, checkRequestId } from "../requests.ts";
import { resolveChange } from "../revision.ts";
import { tellRewriting } from "./rewrite-answer.ts";
import { editsOf, type Planner } from "./rewrite-plan.ts";
import type { Snapshots } from "./rewrite-snapshots.ts";
import { rewriteHistory } from "./rewrite.ts";

type Squash = { from: CurrentRow; into: CurrentRow; isAbove: boolean };

/** Moves edits from one change into another. */
export async function squashChange(
  parts: Parts,
  request: SquashChangeRequest,
  caller: Caller | undefined,
): Promise<SquashChangeResponse> {
  const { sql } = parts;
  const { from, into, paths, description } = request;
  const requestId = checkRequestId(request.requestId);
  paths.forEach(checkPath);
  if (description !== undefined) checkDescription(description);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const asked = { from, into, paths, description: description ?? null };
  const rewritten = { repository, caller: user, requestId, kind: "squash", asked } as const;
  const effects = await rewriteHistory(parts, rewritten, async (planner, snapshots) => {
    const squash = await resolveSquash(sql, repositoryId, planner, request);
    await planSquash(planner, snapshots, squash, request);
  });
  return { rewriting: await tellRewriting(sql, repositoryId, effects, user) };
}

async function resolveSquash(
  sql: Sql,
  repositoryId: number,
  planner: Planner,
  request: SquashChangeRequest,
): Promise<Squash> {
  const found = await resolveChange(sql, repositoryId, request.from);
  const from = await planner.read(found.changeId);
  const target = await resolveChange(sql, repositoryId, request.into);
  const into = await planner.read(target.changeId);
  if (into.changeId === from.changeId) {
    throw new PogoError("usage", `change ${from.name} cannot be squashed into itself`);
  }
  const limit = rewrittenChangesMax + 2;
  const above = await readDescendants(sql, repositoryId, [from.changeId], limit);
  return { from, into, isAbove: above.includes(into.changeId) };
}

async function planSquash(
  planner: Planner,
  snapshots: Snapshots,
  { from, into, isAbove }: Squash,
  { paths, description }: SquashChangeRequest,
): Promise<void> {
  const before = await snapshots.rootOf(from.parents);
  const { picked, left } = await pickEdits(snapshots, before, from, paths);
  const edits = { from: before, to: picked };
  // Where it stood before, what was built on it fits exactly.
  const patches = isAbove ? [edits, editsOf(into)] : [editsOf(into), edits];
  const isEmpty = equalHashes(left, before);
  const both = [into.description, from.description].filter((text) => text !== "").join("\n\n");
  const kept = isEmpty ? both : into.description;
  checkDescription(kept);
  planner.rewrite(into, { patches, description: description ?? kept });
  if (!isEmpty) {
    return planner.rewrite(from, { patches: [{ from: from.parents, to: left }] });
  }
  planner.replace(from.changeId, from.parents);
  planner.hide(from);
  planner.moveBookmarks(from.changeId, into.changeId);
}

/** Trees with the edits at the paths alone, and with all others. */
async function pickEdits(
  snapshots: Snapshots,
  before: Hash,
  from: CurrentRow,
  paths: readonly string[],
): Promise<{ picked: Hash; left: Hash }> {
  if (paths.length === 0) return { picked: from.tree, left: before };
  const { loadTrees } = snapshots;
  const picked = await pickPaths(loadTrees, before, from.tree, paths);
  if (equalHashes(picked.root, before)) {
    throw new PogoError("not-found", `change ${from.name} has no edits in ${paths.join(", ")}`, {
      hint: `see what it touches: pogo show ${from.name.slice(0, 8)}`,
    });
  }
  await snapshots.add(picked.trees);
  const left = await pickPaths(loadTrees, from.tree, before, paths);
  await snapshots.add(left.trees);
  return { picked: picked.root, left: left.root };
}
