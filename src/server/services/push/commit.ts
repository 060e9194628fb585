/**
 * Makes a version of a change. What it will be is decided twice: first without locks, so that
 * the difference of the trees can be walked and checked in peace; then again in the transaction
 * that writes it. When somebody was faster in between, everything starts over.
 */
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, toHex, type Hash } from "#core/hash.ts";
import { mutationAttemptsMax } from "#core/limits.ts";
import { compareNames, emptyTreeHash } from "#core/tree.ts";
import { CommitOutcome, type CommitRequest, type CommitResponse } from "#gen/pogo/v1/push.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import {
  readNamedVersion,
  insertChange,
  insertVersion,
  lockChanges,
  readChanges,
  readVersion,
} from "../../db/changes.ts";
import { transaction, type Queries, type Sql } from "../../db/connect.ts";
import { insertFiles, type FileChange } from "../../db/files.ts";
import { openMutation } from "../../db/mutation.ts";
import type { OperationDetails } from "../../db/operations.ts";
import { findTrees } from "../../db/trees.ts";
import type { Parts } from "../calls.ts";
import { readChangeMessage } from "../change-message.ts";
import { checkCommit, decide, type Decision, type Target } from "./commit-decision.ts";
import { recallOperation } from "../requests.ts";
import { rewriteSealed, tellRewritten } from "../rewrite/rewrite-commit.ts";
import { diffTrees, treeReader } from "../tree-walk.ts";

type Answer = { outcome: CommitOutcome; versionId: number };
type NewVersionDecision = Extract<Decision, { kind: "write" }>;

// A larger difference is walked again while it is written, instead of being kept.
const keptFilesMax = 100_000;

/** Makes a version out of trees and objects that the repository holds. */
export async function commit(
  parts: Parts,
  request: CommitRequest,
  caller: Caller | undefined,
): Promise<CommitResponse> {
  const { sql } = parts;
  checkCommit(request);
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const target: Target = { repositoryId: repository.repositoryId, caller: user, request };
  await requireTree(sql, target.repositoryId, request.tree);
  for (let attempt = 1; attempt <= mutationAttemptsMax; attempt++) {
    const recalled = await recallCommit(sql, target);
    if (recalled) return await respond(sql, target, recalled);
    const decision = await decide(sql, target);
    if (decision.kind === "found") {
      // It may have been this very request that made it, between the two questions.
      const own = await recallCommit(sql, target);
      return await respond(sql, target, own ?? decision);
    }
    const answer =
      decision.outcome === CommitOutcome.COMMIT_OUTCOME_REWRITTEN
        ? await rewriteSealed(parts, repository, target, decision)
        : await writeNew(sql, target, decision);
    if (answer) return await respond(sql, target, answer);
  }
  throw new PogoError("conflict", `change ${request.change} is being pushed to all the time`, {
    hint: "run the command again",
  });
}

async function requireTree(sql: Sql, repositoryId: number, tree: Hash): Promise<void> {
  const found = await findTrees(sql, repositoryId, [tree]);
  if (found.has(hashKey(tree))) return;
  throw new PogoError("not-found", `the repository does not hold tree ${toHex(tree)}`);
}

async function recallCommit(sql: Sql, target: Target): Promise<Answer | undefined> {
  const { repositoryId, caller, request } = target;
  const { requestId } = request;
  const recalled = { repositoryId, requestId, caller, kind: "commit" } as const;
  const versionOf = async ({ change, version }: OperationDetails) => {
    return await readNamedVersion(sql, repositoryId, String(change), Number(version));
  };
  const done = await recallOperation(sql, recalled, async ({ details }) => {
    const { tree } = await versionOf(details);
    const names = [request.change, request.child];
    return equalHashes(tree, request.tree) && names.includes(String(details["change"]));
  });
  if (!done) return undefined;
  const { versionId } = await versionOf(done.details);
  return { outcome: Number(done.details["outcome"]) as CommitOutcome, versionId };
}

/** Walks over all that is new and checks it; keeps it unless it is too much. */
async function walkDifference(
  sql: Sql,
  { repositoryId, request }: Target,
  { base }: NewVersionDecision,
): Promise<FileChange[] | undefined> {
  let files: FileChange[] | undefined = [];
  const read = treeReader(sql, repositoryId);
  for await (const change of diffTrees(read, base?.tree ?? emptyTreeHash, request.tree)) {
    files?.push(change);
    if (files && files.length > keptFilesMax) files = undefined;
  }
  // In the order of the index they go into, a fifth faster.
  return files?.sort((a, b) => compareNames(a.path, b.path));
}

async function writeNew(
  sql: Sql,
  target: Target,
  decision: NewVersionDecision,
): Promise<Answer | undefined> {
  const files = await walkDifference(sql, target, decision);
  return await transaction(sql, (tx) => write(tx, target, decision, files));
}

async function write(
  tx: Queries,
  target: Target,
  decision: NewVersionDecision,
  files: FileChange[] | undefined,
): Promise<Answer | undefined> {
  const { repositoryId, caller, request } = target;
  // Its own change against everything; parents against being hidden meanwhile.
  if (decision.change) await lockChanges(tx, repositoryId, [decision.change.changeId], "update");
  const parentIds = decision.parents.map((parent) => parent.changeId);
  await lockChanges(tx, repositoryId, parentIds, "share");
  if (!Bun.deepEquals(await decide(tx, target), decision)) return undefined;

  const changeId =
    decision.outcome === CommitOutcome.COMMIT_OUTCOME_VERSION_ADDED ||
    decision.outcome === CommitOutcome.COMMIT_OUTCOME_DIVERGED
      ? decision.change!.changeId
      : await insertChange(tx, { repositoryId, name: decision.name, authorId: caller.userId });
  if (changeId === undefined) return undefined;
  const version = await insertVersion(tx, repositoryId, {
    changeId,
    tree: request.tree,
    description: decision.description,
    authorId: caller.userId,
    parents: decision.parents,
    baseVersionId: decision.base?.versionId,
    isDiverged: decision.outcome === CommitOutcome.COMMIT_OUTCOME_DIVERGED,
  });
  const difference =
    files ??
    diffTrees(treeReader(tx, repositoryId), decision.base?.tree ?? emptyTreeHash, request.tree);
  await insertFiles(tx, repositoryId, version.versionId, difference);
  const { outcome, name } = decision;
  const mutation = openMutation(tx, repositoryId);
  if (outcome !== CommitOutcome.COMMIT_OUTCOME_DIVERGED) await mutation.moveChange(version);
  const { requestId } = request;
  const details = { outcome, change: name, version: version.number };
  await mutation.record({ requestId, caller, kind: "commit", details });
  return { outcome, versionId: version.versionId };
}

async function respond(sql: Sql, target: Target, answer: Answer): Promise<CommitResponse> {
  const { repositoryId, caller } = target;
  const change = await readChangeMessage(sql, repositoryId, answer.versionId, caller);
  const { outcome } = answer;
  if (outcome !== CommitOutcome.COMMIT_OUTCOME_DIVERGED) {
    const isRewritten = outcome === CommitOutcome.COMMIT_OUTCOME_REWRITTEN;
    const rewriting = isRewritten ? await tellRewritten(sql, target) : undefined;
    return { change, outcome, current: undefined, rewriting };
  }
  const { changeId } = await readVersion(sql, repositoryId, answer.versionId);
  const [now] = await readChanges(sql, repositoryId, [changeId]);
  const current = now && (await readChangeMessage(sql, repositoryId, now.versionId, caller));
  return { change, outcome, current, rewriting: undefined };
}
