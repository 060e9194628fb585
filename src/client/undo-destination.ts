/** Where an operation that was undone, redone or restored leaves a working copy. */
import type { Change, VersionRef } from "#gen/pogo/v1/common.ts";
import type { ChangeEffect } from "#core/operation.ts";
import { newDraft, publishedChange } from "./change.ts";
import type { Remote } from "./remote.ts";
import { isDraft } from "./revision.ts";
import { decodeHashes, encodeHashes, type CurrentChange } from "./state.ts";
import type { ParentChange, State } from "./state.ts";
import type { Undone } from "./undo.ts";
import type { Workspace } from "./workspace.ts";

const departureKey = "departure";

/**
 * A change for the working copy. Its files stay as they are, and become edits again (`keep`); or
 * they become the change's (`switch`); or the one only if the other cannot be (`either`).
 */
export type Destination = { current: CurrentChange; how: "keep" | "switch" | "either" };

/** Where the working copy was, and the operation that it followed to a change of a name. */
export type Departure = {
  number: number;
  name: string;
  how: "kept" | "switched";
  current: CurrentChange;
};

type Situation = {
  remote: Remote;
  current: CurrentChange;
  effects: Map<string, ChangeEffect>;
  /** The change whose push is undone: what it published was made here. */
  pushed: string | undefined;
  /** A sync is undone: its merge stood on the change that was here before. */
  isSync: boolean;
};

/** Finds where to go; nothing if the working copy's change is not concerned. */
export async function findDestination(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  { operation, subject }: Undone,
): Promise<Destination | undefined> {
  const { current } = workspace.state;
  const { kind, details, effects } = operation;
  const departure = readDeparture(workspace.state);
  const reversed = details["undoes"] ?? details["redoes"];
  const byName = new Map(effects.changes.map((effect) => [effect.change, effect]));
  if (departure?.name === current.name) {
    const isBack = departure.number === reversed || isThere(byName, departure.current);
    if (isBack) {
      return { current: departure.current, how: departure.how === "kept" ? "either" : "switch" };
    }
  }
  const isPush = kind === "undo" && subject?.kind === "commit";
  const situation: Situation = {
    remote,
    current,
    effects: byName,
    pushed: isPush ? String(subject.details["change"]) : undefined,
    isSync: kind === "undo" && subject?.kind === "sync-bookmark",
  };
  return isDraft(current) ? await moveDraft(situation) : await movePublished(situation);
}

/** Tells whether the change that the working copy left is where it was left. */
function isThere(effects: Situation["effects"], { name, version }: CurrentChange): boolean {
  const after = effects.get(name)?.after;
  return after?.version === version && !after.hidden;
}

/** Writes down what the working copy leaves, so that it comes back when that is undone. */
export function recordDeparture(state: State, departure: Departure): void {
  state.set(departureKey, encodeHashes(departure));
}

function readDeparture(state: State): Departure | undefined {
  return decodeHashes(state.get(departureKey)) as Departure | undefined;
}

async function movePublished(situation: Situation): Promise<Destination | undefined> {
  const { remote, current, effects, pushed, isSync } = situation;
  const { name, version, description } = current;
  const effect = effects.get(name);
  if (!effect) return undefined;
  if (!effect.after.hidden) {
    if (!isConcerned(effect, version)) return undefined;
    const change = await remote.getChange(`${name}@${effect.after.version}`);
    return { current: publishedChange(change), how: name === pushed ? "keep" : "switch" };
  }
  const parents = await visibleParents(remote, current.parents);
  if (name === pushed) return { current: newDraft(parents, description), how: "keep" };
  const nearest = isSync ? parents.at(-1) : parents[0];
  if (isSync && nearest && nearest.version === nearest.currentVersion) {
    return { current: publishedChange(nearest), how: "switch" };
  }
  return { current: newDraft(nearest ? [nearest] : []), how: "switch" };
}

/** A draft stays a draft, on top of what its parents are now. */
async function moveDraft(situation: Situation): Promise<Destination | undefined> {
  const { remote, current, effects, pushed, isSync } = situation;
  const isMoved = ({ change, version }: ParentChange) => {
    const effect = effects.get(change);
    return effect !== undefined && (effect.after.hidden || isConcerned(effect, version));
  };
  if (!current.parents.some(isMoved)) return undefined;
  const parents: Change[] = [];
  let { description } = current;
  for (const parent of current.parents) {
    const { change, version } = parent;
    const after = effects.get(change)?.after;
    if (!isMoved(parent) || !after?.hidden) {
      const number = isMoved(parent) ? after!.version : version;
      parents.push(await remote.getChange(`${change}@${number}`));
      continue;
    }
    const gone = await remote.getChange(`${change}@${version}`);
    const below = await visibleParents(remote, gone.parents);
    if (change === pushed) {
      parents.push(...below);
      description ||= gone.description;
      continue;
    }
    // All parents of a merge would make the draft a merge that merges nothing.
    const nearest = isSync ? below.at(-1) : below[0];
    if (nearest) parents.push(nearest);
  }
  const draft = newDraft(unique(parents), description);
  const isPushed = current.parents.some((parent) => parent.change === pushed && isMoved(parent));
  const { name, prefix } = current;
  return { current: { ...draft, name, prefix }, how: isPushed ? "keep" : "switch" };
}

/** Tells whether it was the version at hand that the change was moved away from. */
function isConcerned({ before }: ChangeEffect, version: number): boolean {
  return before === null || before.hidden || before.version === version;
}

/** The parents, and in the place of hidden ones what they stood on. */
async function visibleParents(
  remote: Remote,
  refs: readonly Pick<VersionRef, "change" | "version">[],
): Promise<Change[]> {
  const parents: Change[] = [];
  for (const { change, version } of refs) {
    const parent = await remote.getChange(`${change}@${version}`);
    if (parent.hidden) parents.push(...(await visibleParents(remote, parent.parents)));
    else parents.push(parent);
  }
  return unique(parents);
}

function unique(changes: readonly Change[]): Change[] {
  return [...new Map(changes.map((change) => [change.name, change])).values()];
}
