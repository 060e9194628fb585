/** The model of rewriting: what is named becomes another, and what stands on it follows. */
import { Refusal } from "./refusal.ts";
import { mergeVersions, type Change, type Repository } from "./repository.ts";
import type { Step, Version } from "./repository.ts";
import { equalFiles, mergeFiles, type Files } from "./terms.ts";

/** Edits: what makes one snapshot another. Several versions are a merge of them. */
export type Patch = { from: Files | readonly Version[]; to: Files | readonly Version[] };

/** What is to become of a change. */
export type Wish = {
  parents?: readonly Version[];
  patches?: readonly Patch[];
  description?: string;
};

export type Plan = {
  wishes: Map<string, Wish>;
  /** Changes that are not there yet. */
  created: Map<string, Required<Wish>>;
  /** Which parents take the place of a change. */
  standIns: Map<string, readonly Version[]>;
  hidden: Set<string>;
  /** Bookmarks move along. */
  moved: { from: string; to: string | undefined }[];
};

type Planned = {
  name: string;
  change: Change | undefined;
  parents: readonly Version[];
  wish: Wish;
};

/** A plan that comes to nothing yet. */
export function openPlan(plan: Partial<Plan> = {}): Plan {
  const empty = {
    wishes: new Map(),
    created: new Map(),
    standIns: new Map(),
    hidden: new Set<string>(),
  };
  return { ...empty, moved: [], ...plan };
}

/** Stands for a change that is not there yet. */
export function standIn(change: string): Version {
  const nothing = { author: "", description: "", parents: [], base: undefined, files: new Map() };
  return { ...nothing, id: 0, number: 0, change };
}

/** What a change did to its parents. */
export function editsOf({ at }: Change): Patch {
  return { from: at.parents, to: at.files };
}

/** Puts other parents in the place of one; the first that names a change stays. */
export function replaceParent(
  parents: readonly Version[],
  name: string,
  instead: readonly Version[],
): Version[] {
  const all = parents.flatMap((parent) => (parent.change === name ? instead : [parent]));
  return all.filter(({ change }, at) => all.findIndex((other) => other.change === change) === at);
}

/** What a plan comes to; nothing if everything is so already. */
export function rewrite(
  repository: Repository,
  user: string,
  kind: string,
  plan: Plan,
): Step | undefined {
  const step = repository.begin(kind);
  for (const name of plan.hidden) {
    step.places.set(name, { at: repository.change(name).at, hidden: true });
  }
  const written = new Map<string, Version>();
  for (const { name, change, parents: before, wish } of planned(repository, plan)) {
    const parents = before.map((parent) => written.get(parent.change) ?? parent);
    let files: Files = mergeVersions(parents);
    for (const { from, to } of wish.patches!) files = mergeFiles(filesOf(from), files, filesOf(to));
    const at = change?.at;
    const description = wish.description ?? at?.description ?? "";
    const isOnSame = at !== undefined && sameVersions(at.parents, parents);
    if (isOnSame && equalFiles(at.files, files) && at.description === description) continue;
    const base = isOnSame ? at : parents[0];
    const version = { change: name, author: user, description, parents, base, files };
    written.set(name, repository.addVersion(step, version));
  }
  for (const { from, to } of plan.moved) {
    for (const bookmark of repository.bookmarksAt(from)) step.bookmarks.set(bookmark, to ?? null);
  }
  const isNothing = step.places.size === 0 && step.bookmarks.size === 0;
  return isNothing ? undefined : step;
}

/** Everything that is concerned, parents before their children. */
function planned(repository: Repository, plan: Plan): Planned[] {
  const { wishes, created, standIns, hidden } = plan;
  const found = repository.descendantsOf([...wishes.keys(), ...standIns.keys(), ...hidden]);
  const waiting: Planned[] = [...created].map(([name, wish]) => {
    return { name, change: undefined, parents: wish.parents, wish };
  });
  for (const name of found) {
    if (hidden.has(name)) continue;
    const change = repository.change(name);
    const wish = wishes.get(name) ?? {};
    let parents: readonly Version[] = change.at.parents;
    for (const [replaced, instead] of standIns) {
      if (parents.some((parent) => parent.change === replaced)) {
        parents = replaceParent(parents, replaced, instead);
      }
    }
    const patches = wish.patches ?? [ownEdits(repository, change, found)];
    waiting.push({ name, change, parents: wish.parents ?? parents, wish: { ...wish, patches } });
  }
  const ordered: Planned[] = [];
  while (waiting.length > 0) {
    const open = new Set(waiting.map(({ name }) => name));
    const next = waiting.findIndex(
      ({ parents }) => !parents.some(({ change }) => open.has(change)),
    );
    if (next < 0) throw new Refusal("usage", "a change would stand on itself");
    ordered.push(...waiting.splice(next, 1));
  }
  return ordered;
}

/** What stands on a version that was put aside takes along what that one holds. */
function ownEdits(repository: Repository, { at }: Change, found: ReadonlySet<string>): Patch {
  const from = at.parents.map((parent) => {
    const now = repository.change(parent.change).at;
    return found.has(parent.change) && parent.id > now.id ? now : parent;
  });
  return { from, to: at.files };
}

function filesOf(snapshot: Files | readonly Version[]): Files {
  return Array.isArray(snapshot) ? mergeVersions(snapshot) : (snapshot as Files);
}

function sameVersions(some: readonly Version[], others: readonly Version[]): boolean {
  return some.length === others.length && some.every((version, at) => version === others[at]);
}
