import { PogoError } from "#core/errors.ts";
import { isChangeName } from "#core/name.ts";
import { parentsMax } from "#core/limits.ts";
import type { VersionRef } from "#gen/pogo/v1/common.ts";
import type { Queries } from "../db/connect.ts";
import {
  findChange,
  findVersion,
  readChanges,
  readParents,
  type ParentRow,
} from "../db/changes.ts";
import { findGivenUp } from "../db/revive.ts";

/** Looks up the parents that a request names. */
export async function findParents(
  sql: Queries,
  repositoryId: number,
  refs: readonly VersionRef[],
): Promise<ParentRow[]> {
  if (refs.length > parentsMax) {
    throw new PogoError("usage", `a change of ${refs.length} parents: ${parentsMax} may be`);
  }
  const parents: ParentRow[] = [];
  for (const { change: name, version } of refs) {
    const change = isChangeName(name) && (await findChange(sql, repositoryId, name));
    if (!change) throw new PogoError("not-found", `no change is named ${JSON.stringify(name)}`);
    const found = await findVersion(sql, repositoryId, change.changeId, version);
    if (!found) throw new PogoError("not-found", `change ${name} has no version ${version}`);
    if (parents.some((parent) => parent.changeId === change.changeId)) {
      throw new PogoError("usage", `change ${name} is named twice as a parent`);
    }
    parents.push({ changeId: change.changeId, versionId: found.versionId });
  }
  return parents;
}

/**
 * Puts in the place of hidden changes what they stood on: a draft on top of a change that
 * somebody hid gets the parents that it would have got, had it been pushed before. So it is with
 * versions that were given up.
 */
export async function visibleParents(
  sql: Queries,
  repositoryId: number,
  parents: readonly ParentRow[],
): Promise<ParentRow[]> {
  let found = await heldParents(sql, repositoryId, parents);
  while (found.length > 0) {
    const ids = found.map((parent) => parent.changeId);
    const changes = await readChanges(sql, repositoryId, ids);
    const hidden = changes.find((change) => change.isRemoved);
    if (!hidden) break;
    const standIns = await readParents(sql, repositoryId, hidden.versionId);
    found = replaceParent(found, hidden.changeId, standIns);
    found = await heldParents(sql, repositoryId, found);
  }
  return found;
}

/** Puts in the place of versions whose files are gone what those were built on. */
export async function heldParents(
  sql: Queries,
  repositoryId: number,
  parents: readonly ParentRow[],
): Promise<ParentRow[]> {
  let found = [...parents];
  while (found.length > 0) {
    const ids = found.map((parent) => parent.versionId);
    const givenUp = await findGivenUp(sql, repositoryId, ids);
    const gone = found.find(({ versionId }) => givenUp.has(versionId));
    if (!gone) break;
    const standIns = await readParents(sql, repositoryId, gone.versionId);
    found = replaceParent(found, gone.changeId, standIns);
  }
  return found;
}

/** Puts other parents in the place of one. No change becomes a parent twice. */
export function replaceParent(
  parents: readonly ParentRow[],
  changeId: number,
  standIns: readonly ParentRow[],
): ParentRow[] {
  const replaced = parents.flatMap((parent) =>
    parent.changeId === changeId ? standIns : [parent],
  );
  return replaced.filter((parent, index) => firstIndex(replaced, parent) === index);
}

function firstIndex(parents: readonly ParentRow[], { changeId }: ParentRow): number {
  return parents.findIndex((parent) => parent.changeId === changeId);
}
