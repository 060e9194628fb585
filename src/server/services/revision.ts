import { PogoError } from "#core/errors.ts";
import { candidatesMax } from "#core/limits.ts";
import { isChangeName, isChangePrefix } from "#core/name.ts";
import { parseRevision, workingCopyBase, type RevisionStep } from "#core/revision.ts";
import { findBookmark } from "../db/bookmarks.ts";
import { findChange, findVersion, readChanges, type ChangeRow } from "../db/changes.ts";
import type { Queries } from "../db/connect.ts";
import { findByPrefix, findFirstAncestor, findNewestHead } from "../db/graph.ts";
import { checkText } from "./requests.ts";

/** What a revision names: a version of a change, mostly the one that the change is at. */
export type ResolvedRevision = { change: ChangeRow; versionId: number };

/** Finds what a revision names; the empty one names where a new clone starts. */
export async function resolveRevision(
  sql: Queries,
  repositoryId: number,
  text: string,
): Promise<ResolvedRevision> {
  if (text === "") return await resolveDefault(sql, repositoryId);
  const { base, steps } = parseRevision(text);
  // What a change ever was can be looked at, whatever became of the change.
  const isVersion = isChangeName(base) && steps[0]?.kind === "version";
  const change = await resolveBase(sql, repositoryId, base, isVersion);
  let resolved: ResolvedRevision = { change, versionId: change.versionId };
  for (const step of steps) resolved = await takeStep(sql, repositoryId, resolved, step);
  return resolved;
}

/** Finds a change that is to be changed: an old version of one cannot be. */
export async function resolveChange(
  sql: Queries,
  repositoryId: number,
  text: string,
): Promise<ChangeRow> {
  if (text === "") throw new PogoError("usage", "no revision is given");
  const { change, versionId } = await resolveRevision(sql, repositoryId, text);
  if (change.isRemoved) throw removed(change.name);
  if (versionId === change.versionId) return change;
  throw new PogoError("usage", `${JSON.stringify(text)} names an old version, not a change`, {
    hint: `name the change: ${change.name}`,
  });
}

async function resolveDefault(sql: Queries, repositoryId: number): Promise<ResolvedRevision> {
  const main = await findBookmark(sql, repositoryId, "main");
  const changeId = main?.changeId ?? (await findNewestHead(sql, repositoryId));
  if (changeId !== undefined) return await atCurrent(sql, repositoryId, changeId);
  throw new PogoError("not-found", "the repository has no change yet");
}

async function resolveBase(
  sql: Queries,
  repositoryId: number,
  base: string,
  mayBeRemoved: boolean,
): Promise<ChangeRow> {
  if (base === workingCopyBase) {
    throw new PogoError("usage", '"@" names a working copy\'s change: the server has none');
  }
  checkText(base);
  const bookmark = await findBookmark(sql, repositoryId, base);
  if (bookmark) return (await atCurrent(sql, repositoryId, bookmark.changeId)).change;
  if (isChangeName(base)) {
    const change = await findChange(sql, repositoryId, base);
    if (!change) throw nothingNamed(base);
    if (change.isRemoved && !mayBeRemoved) throw removed(base);
    return change;
  }
  const found = isChangePrefix(base)
    ? await findByPrefix(sql, repositoryId, base, candidatesMax + 1)
    : [];
  const [first, second] = found;
  if (!first) throw nothingNamed(base);
  if (second) {
    const names = found.slice(0, candidatesMax).map((change) => change.name);
    const more = found.length > candidatesMax ? " and more" : "";
    throw new PogoError("usage", `"${base}" names several changes: ${names.join(", ")}${more}`, {
      hint: "type more of the name",
    });
  }
  return (await atCurrent(sql, repositoryId, first.changeId)).change;
}

async function takeStep(
  sql: Queries,
  repositoryId: number,
  { change, versionId }: ResolvedRevision,
  step: RevisionStep,
): Promise<ResolvedRevision> {
  if (step.kind === "version") {
    const version = await findVersion(sql, repositoryId, change.changeId, step.number);
    if (version) return { change, versionId: version.versionId };
    throw new PogoError("not-found", `change ${change.name} has no version ${step.number}`);
  }
  const { distance } = step;
  if (distance === 0) return { change, versionId };
  const found = await findFirstAncestor(sql, repositoryId, versionId, distance);
  if (found?.distance === distance) return await atCurrent(sql, repositoryId, found.changeId);
  const message =
    found === undefined
      ? `change ${change.name} has no parent`
      : `change ${change.name} has only ${found.distance} first ancestors`;
  throw new PogoError("not-found", message);
}

async function atCurrent(
  sql: Queries,
  repositoryId: number,
  changeId: number,
): Promise<ResolvedRevision> {
  const [change] = await readChanges(sql, repositoryId, [changeId]);
  if (!change) throw new Error(`change ${changeId} is gone`);
  return { change, versionId: change.versionId };
}

function removed(name: string): PogoError {
  return new PogoError("not-found", `change ${name} was removed`, {
    hint: `its versions can be looked at: pogo show ${name}@1`,
  });
}

function nothingNamed(base: string): PogoError {
  return new PogoError("not-found", `no bookmark or change is named ${JSON.stringify(base)}`, {
    hint: "see what there is: pogo log, pogo bookmark list",
  });
}
