import { PogoError } from "#core/errors.ts";
import { equalHashes } from "#core/hash.ts";
import { isChangeName } from "#core/name.ts";
import { CommitOutcome, type CommitRequest } from "#gen/pogo/v1/push.ts";
import type { Caller } from "../../auth.ts";
import {
  findChange,
  findTwin,
  findVersion,
  isPinned,
  readParents,
  readVersion,
  type ChangeRow,
  type ParentRow,
  type VersionRow,
} from "../../db/changes.ts";
import { bookmarksOf } from "../../db/bookmarks.ts";
import type { Queries } from "../../db/connect.ts";
import { findGivenUp } from "../../db/revive.ts";
import { findParents, heldParents, visibleParents } from "../parents.ts";
import { checkDescription, checkHash, checkRequestId } from "../requests.ts";

/** What a commit is about. */
export type Target = { repositoryId: number; caller: Caller; request: CommitRequest };

/** What a commit comes to: something that is there already, or a version to write. */
export type Decision =
  | { kind: "found"; outcome: CommitOutcome; versionId: number }
  | {
      kind: "write";
      outcome: CommitOutcome;
      /** Name of the change that gets the version. */
      name: string;
      /** The change that the request names, as it is now. */
      change: ChangeRow | undefined;
      parents: ParentRow[];
      base: VersionRow | undefined;
      description: string;
    };

const unchanged = CommitOutcome.COMMIT_OUTCOME_UNCHANGED;

/** Refuses a request that makes no sense whatever the repository holds. */
export function checkCommit(request: CommitRequest): void {
  checkRequestId(request.requestId);
  checkHash(request.tree);
  if (request.description !== undefined) checkDescription(request.description);
  for (const name of [request.change, ...(request.child === "" ? [] : [request.child])]) {
    if (!isChangeName(name)) {
      throw new PogoError("usage", `${JSON.stringify(name)} is not the name of a change`);
    }
  }
  if (request.child === request.change) {
    throw new PogoError("usage", `change ${request.change} cannot be its own child`);
  }
  if (request.expectedVersion > 0 && request.parents.length > 0) {
    throw new PogoError("usage", "only a new change is given parents");
  }
}

/** Decides what a commit comes to, from what the repository says now. */
export async function decide(sql: Queries, target: Target): Promise<Decision> {
  const { repositoryId, request } = target;
  const change = await findChange(sql, repositoryId, request.change);
  if (request.expectedVersion === 0) return await decideNew(sql, target, change);
  const expected =
    change && (await findVersion(sql, repositoryId, change.changeId, request.expectedVersion));
  if (!change || !expected) {
    const what = `version ${request.expectedVersion} of change ${request.change}`;
    throw new PogoError("not-found", `there is no ${what}`);
  }
  return await decideNext(sql, target, change, expected);
}

async function decideNew(
  sql: Queries,
  target: Target,
  change: ChangeRow | undefined,
): Promise<Decision> {
  const { repositoryId, caller, request } = target;
  const named = await findParents(sql, repositoryId, request.parents);
  const parents = await visibleParents(sql, repositoryId, named);
  const description = request.description ?? "";
  if (!change) {
    return {
      kind: "write",
      outcome: CommitOutcome.COMMIT_OUTCOME_CREATED,
      name: request.change,
      change,
      parents,
      base: await firstOf(sql, repositoryId, parents),
      description,
    };
  }
  if (change.authorId !== caller.userId) {
    throw new PogoError("already-exists", `there is a change named ${request.change} already`);
  }
  // The same draft, pushed before: its answer was lost, or the directory was copied.
  const current = await readVersion(sql, repositoryId, change.versionId);
  const isSame = equalHashes(current.tree, request.tree);
  if (isSame && current.description === (request.description ?? current.description)) {
    return { kind: "found", outcome: unchanged, versionId: current.versionId };
  }
  const first = await findVersion(sql, repositoryId, change.changeId, 1);
  if (!first) throw new Error(`change ${change.name} has no first version`);
  return await decideDiverged(sql, target, change, first, description);
}

async function decideNext(
  sql: Queries,
  target: Target,
  change: ChangeRow,
  expected: VersionRow,
): Promise<Decision> {
  const { repositoryId, caller, request } = target;
  const current = await readVersion(sql, repositoryId, change.versionId);
  const isDescribed = (request.description ?? expected.description) !== expected.description;
  const description = isDescribed ? request.description! : current.description;
  if (equalHashes(request.tree, current.tree) && description === current.description) {
    return { kind: "found", outcome: unchanged, versionId: current.versionId };
  }
  if (equalHashes(request.tree, expected.tree) && !isDescribed) {
    return { kind: "found", outcome: unchanged, versionId: expected.versionId };
  }
  // A description that changed meanwhile is in nobody's way.
  const isInStep = equalHashes(current.tree, expected.tree);
  const isSealed =
    change.isRemoved ||
    change.authorId !== caller.userId ||
    (await isPinned(sql, repositoryId, change.changeId));
  const isRewritten = isSealed && request.rewrite === true && !change.isRemoved;
  if (isRewritten) await requireRewritable(sql, target, change);
  else if (isSealed) return await decideChild(sql, target, change, isInStep ? current : expected);
  if (!isInStep) {
    const diverged = request.description ?? expected.description;
    return await decideDiverged(sql, target, change, expected, diverged);
  }
  return {
    kind: "write",
    outcome: isRewritten
      ? CommitOutcome.COMMIT_OUTCOME_REWRITTEN
      : CommitOutcome.COMMIT_OUTCOME_VERSION_ADDED,
    name: change.name,
    change,
    parents: await readParents(sql, repositoryId, current.versionId),
    base: current,
    description,
  };
}

/** What others have named is not rewritten behind their backs. */
async function requireRewritable(
  sql: Queries,
  { repositoryId, caller }: Target,
  { changeId, name, authorId }: ChangeRow,
): Promise<void> {
  if (authorId === caller.userId) return;
  const [bookmark] = await bookmarksOf(sql, repositoryId, changeId);
  if (bookmark === undefined) return;
  const message = `change ${name} is another author's, and bookmark ${bookmark} points at it`;
  throw new PogoError("denied", message, {
    hint: "without --rewrite your edits become a new change on top of it: pogo push",
  });
}

async function decideChild(
  sql: Queries,
  target: Target,
  change: ChangeRow,
  parent: VersionRow,
): Promise<Decision> {
  const { repositoryId, caller, request } = target;
  const outcome = CommitOutcome.COMMIT_OUTCOME_CHILD_CREATED;
  if (request.child === "") {
    throw new PogoError("conflict", `change ${change.name} is sealed`, {
      hint: "put the edits into a new change on top of it: pogo new",
    });
  }
  const description = request.description ?? "";
  const child = await findChange(sql, repositoryId, request.child);
  if (child) {
    const made = await readVersion(sql, repositoryId, child.versionId);
    const isSame = equalHashes(made.tree, request.tree) && made.description === description;
    if (child.authorId === caller.userId && isSame) {
      return { kind: "found", outcome, versionId: made.versionId };
    }
    throw new PogoError("already-exists", `there is a change named ${request.child} already`);
  }
  const { changeId } = change;
  const parents = await visibleParents(sql, repositoryId, [
    { changeId, versionId: parent.versionId },
  ]);
  const base = await firstOf(sql, repositoryId, parents);
  return { kind: "write", outcome, name: request.child, change, parents, base, description };
}

async function decideDiverged(
  sql: Queries,
  { repositoryId, caller, request }: Target,
  change: ChangeRow,
  expected: VersionRow,
  description: string,
): Promise<Decision> {
  const outcome = CommitOutcome.COMMIT_OUTCOME_DIVERGED;
  const twin = await findTwin(sql, repositoryId, expected, {
    tree: request.tree,
    description,
    authorId: caller.userId,
  });
  // Pushed before and told so: once is enough.
  if (twin) return { kind: "found", outcome, versionId: twin.versionId };
  const parents = await heldParents(
    sql,
    repositoryId,
    await readParents(sql, repositoryId, expected.versionId),
  );
  const givenUp = await findGivenUp(sql, repositoryId, [expected.versionId]);
  const base = givenUp.size > 0 ? await firstOf(sql, repositoryId, parents) : expected;
  return { kind: "write", outcome, name: change.name, change, parents, base, description };
}

async function firstOf(
  sql: Queries,
  repositoryId: number,
  parents: readonly ParentRow[],
): Promise<VersionRow | undefined> {
  const [first] = parents;
  return first && (await readVersion(sql, repositoryId, first.versionId));
}
