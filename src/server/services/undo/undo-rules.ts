/**
 * What must hold once changes and bookmarks were put back. It is looked at when they are, before
 * the transaction ends: then there is nothing to foresee.
 */
import { equalHashes } from "#core/hash.ts";
import {
  findBookmarksAt,
  findParentChanges,
  findPlaces,
  findStanding,
} from "../../db/change-places.ts";
import type { Queries } from "../../db/connect.ts";
import type { ChangeMove, Steps } from "./undo-steps.ts";

/** Why things cannot stay where they were put; nothing if they can. */
export async function findObstacle(
  tx: Queries,
  repositoryId: number,
  moves: readonly ChangeMove[],
  bookmarks: Steps["bookmarks"],
): Promise<string | undefined> {
  return (
    (await findBuiltUpon(tx, repositoryId, moves)) ??
    (await findHiddenParent(tx, repositoryId, moves)) ??
    (await findBookmarked(tx, repositoryId, moves)) ??
    (await findDangling(tx, repositoryId, bookmarks))
  );
}

/** Nothing visible stands on what is hidden, nor on files that went away under it. */
async function findBuiltUpon(
  tx: Queries,
  repositoryId: number,
  moves: readonly ChangeMove[],
): Promise<string | undefined> {
  const byId = new Map(moves.map((move) => [move.changeId, move]));
  const names = new Set(moves.map(({ change }) => change));
  for (const { parentId, name, generation } of await findStanding(tx, repositoryId, [
    ...byId.keys(),
  ])) {
    const { change, from, to, old, next } = byId.get(parentId)!;
    if (to.hidden) return `change ${name} stands on ${change}, which would be hidden`;
    if (names.has(name) || from.version === to.version) continue;
    // What is on top keeps the files that it was made from, and stays younger than what is below.
    if (equalHashes(old.tree, next.tree) && generation > next.generation) continue;
    return `change ${name} was built on version ${from.version} of ${change}`;
  }
  return undefined;
}

async function findHiddenParent(
  tx: Queries,
  repositoryId: number,
  moves: readonly ChangeMove[],
): Promise<string | undefined> {
  const shown = new Map(
    moves.filter(({ to }) => !to.hidden).map(({ change, next }) => [next.versionId, change]),
  );
  const parents = await findParentChanges(tx, repositoryId, [...shown.keys()]);
  const hidden = parents.find(({ isRemoved }) => isRemoved);
  return (
    hidden && `change ${shown.get(hidden.versionId)} would stand on ${hidden.name}, which is hidden`
  );
}

async function findBookmarked(
  tx: Queries,
  repositoryId: number,
  moves: readonly ChangeMove[],
): Promise<string | undefined> {
  const hidden = new Map(
    moves.filter(({ to }) => to.hidden).map(({ changeId, change }) => [changeId, change]),
  );
  if (hidden.size === 0) return undefined;
  const [first] = await findBookmarksAt(tx, repositoryId, [...hidden.keys()]);
  if (!first) return undefined;
  return `bookmark ${first.name} points at ${hidden.get(first.changeId)}, which would be hidden`;
}

async function findDangling(
  tx: Queries,
  repositoryId: number,
  bookmarks: Steps["bookmarks"],
): Promise<string | undefined> {
  const set = bookmarks.filter(({ to }) => to !== null);
  if (set.length === 0) return undefined;
  const places = await findPlaces(
    tx,
    repositoryId,
    set.map(({ to }) => to!),
  );
  const hidden = new Set(places.filter(({ isRemoved }) => isRemoved).map(({ name }) => name));
  const dangling = set.find(({ to }) => hidden.has(to!));
  return dangling && `bookmark ${dangling.bookmark} would point at ${dangling.to}, which is hidden`;
}
