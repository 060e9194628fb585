/**
 * Moves changes and bookmarks to where they were before. Everything concerned is locked first, and
 * then looked at: what is not where the caller supposes is not moved.
 */
import type { ChangeState, Effects } from "#core/operation.ts";
import { findBookmarkTargets } from "../../db/bookmarks.ts";
import { findParentChanges, findPlaces, findVersions, type Place } from "../../db/change-places.ts";
import { lockChanges, type VersionRow } from "../../db/changes.ts";
import type { Queries } from "../../db/connect.ts";
import type { Mutation } from "../../db/mutation.ts";

export type ChangeStep = { change: string; from: ChangeState; to: ChangeState };
export type BookmarkStep = { bookmark: string; from: string | null; to: string | null };
export type Steps = { changes: ChangeStep[]; bookmarks: BookmarkStep[] };

/** A step, and the versions that it leads from and to. */
export type ChangeMove = ChangeStep & { changeId: number; old: VersionRow; next: VersionRow };

/** What was moved; or what is elsewhere than it was supposed to be. */
export type Applied =
  | { moves: ChangeMove[]; elsewhere?: never }
  | { elsewhere: { change: string } | { bookmark: string } };

// As many statements as are under way at once on one connection.
const batchCount = 100;

type Target = { tx: Queries; repositoryId: number; mutation: Mutation };
type Places = Map<string, Place>;

/** The steps that take back what an operation did; what it created is hidden. */
export function reverseSteps({ changes, bookmarks }: Effects): Steps {
  return {
    changes: changes.map(({ change, before, after }) => {
      return { change, from: after, to: before ?? { ...after, hidden: true } };
    }),
    bookmarks: bookmarks.map(({ bookmark, before, after }) => {
      return { bookmark, from: after, to: before };
    }),
  };
}

/** Takes all steps, or none if anything is not where they begin. */
export async function applySteps(target: Target, steps: Steps): Promise<Applied> {
  const { tx, repositoryId } = target;
  const names = new Set(steps.changes.map(({ change }) => change));
  for (const { from, to } of steps.bookmarks) {
    for (const name of [from, to]) if (name !== null) names.add(name);
  }
  const before = await findPlaces(tx, repositoryId, [...names]);
  const idOf = new Map(before.map(({ name, changeId }) => [name, changeId]));
  const wanted = steps.changes.flatMap(({ change, from, to }) => {
    const changeId = idOf.get(change)!;
    return [
      { changeId, number: from.version },
      { changeId, number: to.version },
    ];
  });
  const versions = await findVersions(tx, repositoryId, wanted);
  const parents = await findParentChanges(
    tx,
    repositoryId,
    versions.map(({ versionId }) => versionId),
  );
  const ids = new Set([...idOf.values(), ...parents.map(({ changeId }) => changeId)]);
  await lockChanges(tx, repositoryId, [...ids], "update");

  const now = await findPlaces(tx, repositoryId, [...names]);
  const places: Places = new Map(now.map((place) => [place.name, place]));
  const moves = toMoves(steps.changes, places, versions);
  const moved = steps.changes.find(({ change, from }) => !isAt(places.get(change), from));
  if (moved) return { elsewhere: { change: moved.change } };
  await moveChanges(target, moves);
  const bookmark = await moveBookmarks(target, steps.bookmarks, places);
  return bookmark === undefined ? { moves } : { elsewhere: { bookmark } };
}

function toMoves(
  steps: readonly ChangeStep[],
  places: Places,
  versions: readonly VersionRow[],
): ChangeMove[] {
  const found = new Map(versions.map((row) => [`${row.changeId} ${row.number}`, row]));
  return steps.map((step) => {
    const changeId = places.get(step.change)?.changeId;
    const [old, next] = [step.from, step.to].map(({ version }) => {
      return found.get(`${changeId} ${version}`);
    });
    if (changeId === undefined || !old || !next) throw new Error(`${step.change} is gone`);
    return { ...step, changeId, old, next };
  });
}

function isAt(place: Place | undefined, { version, hidden }: ChangeState): boolean {
  return place?.number === version && place.isRemoved === hidden;
}

async function moveChanges({ mutation }: Target, moves: readonly ChangeMove[]): Promise<void> {
  const moved = moves.filter(({ from, to }) => from.version !== to.version);
  await mutation.moveChanges(moved.map(({ next }) => next));
  // What has moved is visible.
  const isHidden = ({ from, to }: ChangeMove) => from.version === to.version && from.hidden;
  const idsOf = (found: readonly ChangeMove[]) => found.map(({ changeId }) => changeId);
  await mutation.hideChanges(idsOf(moves.filter((move) => move.to.hidden && !isHidden(move))));
  await mutation.showChanges(idsOf(moves.filter((move) => !move.to.hidden && isHidden(move))));
}

/** Moves bookmarks; returns the first that is not where its step begins. */
async function moveBookmarks(
  { tx, repositoryId, mutation }: Target,
  steps: readonly BookmarkStep[],
  places: Places,
): Promise<string | undefined> {
  const names = steps.map(({ bookmark }) => bookmark);
  const now = await findBookmarkTargets(tx, repositoryId, names, true);
  const moved = steps.find(({ bookmark, from }) => (now.get(bookmark) ?? null) !== from);
  if (moved) return moved.bookmark;
  const taken: string[] = [];
  const move = async ({ bookmark, from, to }: BookmarkStep): Promise<void> => {
    if (to === null) return await mutation.deleteBookmark(bookmark);
    const { changeId } = places.get(to)!;
    if (from !== null) await mutation.moveBookmark(bookmark, changeId);
    else if (!(await mutation.insertBookmark(bookmark, changeId))) taken.push(bookmark);
  };
  for (let start = 0; start < steps.length; start += batchCount) {
    await Promise.all(steps.slice(start, start + batchCount).map(move));
  }
  return taken[0];
}
