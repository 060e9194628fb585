import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, toHex, type Hash } from "#core/hash.ts";
import { checkPath } from "#core/path.ts";
import { pickPaths } from "#core/tree-pick.ts";
import type { SplitChangeRequest, SplitChangeResponse } from "#gen/pogo/v1/history.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import type { Sql } from "../../db/connect.ts";
import type { CurrentRow } from "../../db/descendants.ts";
import { findTrees } from "../../db/trees.ts";
import type { Parts } from "../calls.ts";
import { newChangeName } from "./copy-changes.ts";
import { checkDescription, checkHash, checkRequestId } from "../requests.ts";
import { resolveChange } from "../revision.ts";
import { tellRewriting, tellVersions } from "./rewrite-answer.ts";
import { rowOf, type Planner } from "./rewrite-plan.ts";
import type { Snapshots } from "./rewrite-snapshots.ts";
import { rewriteHistory } from "./rewrite.ts";

/** Makes two changes of one. */
export async function splitChange(
  parts: Parts,
  request: SplitChangeRequest,
  caller: Caller | undefined,
): Promise<SplitChangeResponse> {
  const { sql } = parts;
  checkSplit(request);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const { requestId, revision, paths, tree, description } = request;
  if (tree.length > 0) await requireTree(sql, repositoryId, tree);
  const asked = { revision, paths, tree: toHex(tree), description: description ?? null };
  const rewritten = { repository, caller: user, requestId, kind: "split", asked } as const;
  const effects = await rewriteHistory(parts, rewritten, async (planner, snapshots) => {
    const { changeId } = await resolveChange(sql, repositoryId, revision);
    await planSplit(planner, snapshots, await planner.read(changeId), request);
  });
  // All others stand on these two.
  const both = effects.changes.slice(0, 2);
  const [first, second] = await tellVersions(sql, repositoryId, both, user);
  return { rewriting: await tellRewriting(sql, repositoryId, effects, user), first, second };
}

function checkSplit({ requestId, paths, tree, description }: SplitChangeRequest): void {
  checkRequestId(requestId);
  paths.forEach(checkPath);
  if (description !== undefined) checkDescription(description);
  if (tree.length > 0) checkHash(tree);
  if (paths.length > 0 !== tree.length > 0) return;
  throw new PogoError("usage", "either paths or a tree say what the first change is to be");
}

async function requireTree(sql: Sql, repositoryId: number, tree: Hash): Promise<void> {
  const found = await findTrees(sql, repositoryId, [tree]);
  if (found.has(hashKey(tree))) return;
  throw new PogoError("not-found", `the repository does not hold tree ${toHex(tree)}`);
}

async function planSplit(
  planner: Planner,
  snapshots: Snapshots,
  change: CurrentRow,
  { paths, tree, description = change.description }: SplitChangeRequest,
): Promise<void> {
  const before = await snapshots.rootOf(change.parents);
  let picked: Hash = tree;
  if (paths.length > 0) {
    const built = await pickPaths(snapshots.loadTrees, before, change.tree, paths);
    await snapshots.add(built.trees);
    picked = built.root;
  }
  refuseWhole(change, { before, picked });
  planner.rewrite(change, { patches: [{ from: change.parents, to: picked }], description });
  const rest = planner.create(newChangeName(), {
    parents: [rowOf(change)],
    patches: [{ from: picked, to: change.tree }],
    description: change.description,
  });
  planner.replace(change.changeId, [rest]);
  planner.moveBookmarks(change.changeId, rest.changeId);
}

function refuseWhole(
  { name, tree }: CurrentRow,
  { before, picked }: { before: Hash; picked: Hash },
): void {
  const hint = `see what it touches: pogo show ${name.slice(0, 8)}`;
  if (equalHashes(picked, before)) {
    throw new PogoError("usage", `nothing of change ${name} is picked`, { hint });
  }
  if (!equalHashes(picked, tree)) return;
  throw new PogoError("usage", `all of change ${name} is picked: nothing is left`, { hint });
}
