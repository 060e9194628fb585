/**
 * What is to become of changes: those that somebody names get other parents, edits or texts, and
 * all that stands on them follows with its own edits. Versions that are not written yet are stood
 * for by ids larger than any that there is, changes by ids below zero.
 */
import { PogoError } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { parentsMax, rewrittenChangesMax } from "#core/limits.ts";
import type { ParentRow } from "../../db/changes.ts";
import type { Queries } from "../../db/connect.ts";
import { readCurrent, readDescendants, type CurrentRow } from "../../db/descendants.ts";
import { replaceParent } from "../parents.ts";

/** Files: those below a root tree, or those of versions merged. */
export type Snapshot = Hash | readonly ParentRow[];

/** Edits: what makes one snapshot another. */
export type Patch = { from: Snapshot; to: Snapshot };

/** A change as it is to become. */
export type PlannedChange = ParentRow & {
  name: string;
  /** As it is now; nothing for a new one. */
  current: CurrentRow | undefined;
  parents: readonly ParentRow[];
  /** Made one after the other to what the parents hold. */
  patches: readonly Patch[];
  description: string;
};

export type RewritePlan = {
  /** Parents before their children. */
  changes: PlannedChange[];
  /** Changes that go, as they are now. */
  hidden: CurrentRow[];
  /** Whose bookmarks move, and to which change; to none, they go. */
  bookmarks: { from: number; to: number | undefined }[];
  /** What was looked through for changes that follow, and all that was found. */
  starts: number[];
  found: number[];
};

/** What a verb says about a change; what it leaves out stays as it is. */
export type Wanted = {
  parents?: readonly ParentRow[];
  patches?: readonly Patch[];
  description?: string;
};

export type Planner = {
  /** Reads a change that is there. */
  read(changeId: number): Promise<CurrentRow>;
  rewrite(change: CurrentRow, wanted: Wanted): void;
  /** A new change; says what stands for it as a parent. */
  create(name: string, wanted: Required<Wanted>): ParentRow;
  /** Puts other parents in a change's place for all that stands on it. */
  replace(changeId: number, standIns: readonly ParentRow[]): void;
  /** Hides a change; what stands on it must be given other parents. */
  hide(change: CurrentRow): void;
  moveBookmarks(from: number, to: number | undefined): void;
};

// Larger than the id of every version, and exact all the same.
const plannedVersionMin = 2 ** 50;

/** Opens a plan; `complete` adds what follows, and puts parents before their children. */
export function openPlan(
  sql: Queries,
  repositoryId: number,
): Planner & { complete(): Promise<RewritePlan> } {
  const wanted = new Map<number, Wanted>();
  const created: PlannedChange[] = [];
  const standIns = new Map<number, readonly ParentRow[]>();
  const hidden = new Map<number, CurrentRow>();
  const bookmarks: RewritePlan["bookmarks"] = [];

  async function read(changeId: number): Promise<CurrentRow> {
    const [current] = await readCurrent(sql, repositoryId, [changeId]);
    if (current && !current.isRemoved) return current;
    throw new PogoError("not-found", `change ${current?.name ?? changeId} was removed`);
  }

  async function complete(): Promise<RewritePlan> {
    const starts = [...wanted.keys(), ...standIns.keys(), ...hidden.keys()];
    const limit = rewrittenChangesMax + starts.length + 1;
    const found = await readDescendants(sql, repositoryId, starts, limit);
    if (found.length > rewrittenChangesMax) {
      throw new PogoError("usage", `more than ${rewrittenChangesMax} changes would be rewritten`, {
        hint: "they stand on what is to be rewritten: pogo new makes a change on top instead",
      });
    }
    found.sort((a, b) => a - b);
    const rows = await readCurrent(sql, repositoryId, found);
    const current = new Map(rows.map((row) => [row.changeId, row]));
    const changes = [...created];
    for (const row of rows) {
      if (hidden.has(row.changeId)) continue;
      const named = wanted.get(row.changeId);
      const parents = named?.parents ?? withStandIns(row.parents, standIns);
      changes.push({
        changeId: row.changeId,
        versionId: 0,
        name: row.name,
        current: row,
        parents: checkParents(row.name, parents),
        patches: named?.patches ?? [ownEdits(row, current)],
        description: named?.description ?? row.description,
      });
    }
    const ordered = parentsFirst(changes, (changeId) => wanted.has(changeId));
    // The graph of versions is walked by their ids.
    ordered.forEach((change, index) => (change.versionId = plannedVersionMin + index));
    return { changes: ordered, hidden: [...hidden.values()], bookmarks, starts, found };
  }

  return {
    read,
    rewrite: (change, wish) => {
      wanted.set(change.changeId, { ...wanted.get(change.changeId), ...wish });
    },
    create: (name, wish) => {
      const changeId = -1 - created.length;
      const parents = checkParents(name, wish.parents);
      created.push({ ...wish, changeId, versionId: 0, name, current: undefined, parents });
      return { changeId, versionId: 0 };
    },
    replace: (changeId, parents) => void standIns.set(changeId, parents),
    hide: (change) => void hidden.set(change.changeId, change),
    moveBookmarks: (from, to) => void bookmarks.push({ from, to }),
    complete,
  };
}

/** What a change did to its parents, as it stands on them now. */
export function editsOf(change: CurrentRow): Patch {
  return { from: change.parents, to: change.tree };
}

/**
 * What a change that follows did. If it stands on a version that was put aside, because somebody
 * else had pushed meanwhile, what that one held goes along: it is nowhere else.
 */
function ownEdits(row: CurrentRow, current: ReadonlyMap<number, CurrentRow>): Patch {
  const from = row.parents.map((parent) => {
    const now = current.get(parent.changeId);
    return now && parent.versionId > now.versionId ? rowOf(now) : parent;
  });
  return { from, to: row.tree };
}

/** A change as a parent, at its current version. */
export function rowOf({ changeId, versionId }: ParentRow): ParentRow {
  return { changeId, versionId };
}

function withStandIns(
  parents: readonly ParentRow[],
  standIns: ReadonlyMap<number, readonly ParentRow[]>,
): readonly ParentRow[] {
  let found = parents;
  for (const [changeId, instead] of standIns) {
    if (found.some((parent) => parent.changeId === changeId)) {
      found = replaceParent(found, changeId, instead);
    }
  }
  return found;
}

function checkParents(name: string, parents: readonly ParentRow[]): readonly ParentRow[] {
  if (parents.length <= parentsMax) return parents;
  throw new PogoError(
    "usage",
    `change ${name} would have ${parents.length} parents: ${parentsMax} may be`,
  );
}

/** Puts parents before their children, and refuses a change that would stand on itself. */
function parentsFirst(
  changes: readonly PlannedChange[],
  isNamed: (changeId: number) => boolean,
): PlannedChange[] {
  const waiting = new Map<number, number>();
  const above = new Map<number, PlannedChange[]>();
  for (const change of changes) waiting.set(change.changeId, 0);
  for (const change of changes) {
    for (const { changeId } of change.parents) {
      if (!waiting.has(changeId)) continue;
      waiting.set(change.changeId, waiting.get(change.changeId)! + 1);
      const known = above.get(changeId) ?? [];
      known.push(change);
      above.set(changeId, known);
    }
  }
  const ordered = changes.filter(({ changeId }) => waiting.get(changeId) === 0);
  for (let at = 0; at < ordered.length; at++) {
    for (const child of above.get(ordered[at]!.changeId) ?? []) {
      const left = waiting.get(child.changeId)! - 1;
      waiting.set(child.changeId, left);
      if (left === 0) ordered.push(child);
    }
  }
  if (ordered.length === changes.length) return ordered;
  const left = changes.filter(({ changeId }) => waiting.get(changeId)! > 0);
  const circular = left.find(({ changeId }) => isNamed(changeId)) ?? left[0]!;
  throw new PogoError("usage", `change ${circular.name} would stand on itself`, {
    hint: "choose a destination that does not stand on what moves: pogo log",
  });
}
