/** A commit that goes into a sealed change itself: what stands on it follows. */
import { equalHashes } from "#core/hash.ts";
import { CommitOutcome } from "#gen/pogo/v1/push.ts";
import type { Rewriting } from "#gen/pogo/v1/history.ts";
import { transaction, type Sql } from "../../db/connect.ts";
import { openMutation } from "../../db/mutation.ts";
import { findOperation } from "../../db/operations.ts";
import type { RepositoryRow } from "../../db/repositories.ts";
import type { Parts } from "../calls.ts";
import { decide, type Decision, type Target } from "../push/commit-decision.ts";
import { tellRewriting } from "./rewrite-answer.ts";
import { lockAsPlanned, prepareRewriting, writeRewriting } from "./rewrite.ts";

/** Rewrites the change, unless somebody was faster: then nothing is written. */
export async function rewriteSealed(
  parts: Parts,
  repository: RepositoryRow,
  target: Target,
  decision: Extract<Decision, { kind: "write" }>,
): Promise<{ outcome: CommitOutcome; versionId: number } | undefined> {
  const { repositoryId, caller, request } = target;
  const { tree, requestId } = request;
  const { changeId, name } = decision.change!;
  const { outcome, description } = decision;
  const prepared = await prepareRewriting(parts, repository, async (planner) => {
    const change = await planner.read(changeId);
    const patches = [{ from: change.parents, to: tree }];
    planner.rewrite(change, { patches, description });
  });
  const own = prepared.versions.find(({ change }) => change.changeId === changeId);
  if (!own || !equalHashes(own.tree, tree)) return undefined;
  return await transaction(parts.sql, async (tx) => {
    if (!(await lockAsPlanned(tx, repositoryId, prepared))) return undefined;
    if (!Bun.deepEquals(await decide(tx, target), decision)) return undefined;
    const mutation = openMutation(tx, repositoryId);
    const written = await writeRewriting({ tx, mutation }, { repository, caller }, prepared);
    const { versionId, number } = written.get(changeId)!;
    const details = { outcome, change: name, version: number };
    await mutation.record({ requestId, caller, kind: "commit", details });
    return { outcome, versionId };
  });
}

/** Tells of a commit that rewrote what it moved. */
export async function tellRewritten(
  sql: Sql,
  { repositoryId, caller, request }: Target,
): Promise<Rewriting | undefined> {
  const done = await findOperation(sql, repositoryId, request.requestId);
  return done && (await tellRewriting(sql, repositoryId, done.effects, caller));
}
