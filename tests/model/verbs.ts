/** The model of every verb: what it comes to in the repository as it is; nothing, or a refusal. */
import { Refusal } from "./refusal.ts";
import { basesOf, mergeVersions, type Change } from "./repository.ts";
import type { Repository, Step, Version } from "./repository.ts";
import { editsOf, openPlan, replaceParent, rewrite, type Plan, type Wish } from "./rewriting.ts";
import { equalFiles, holdsConflict, holdsUnknown, mergeFiles, type Files } from "./terms.ts";

export type Commit = {
  change: string;
  /** The version that the files were made from; nothing for a new change. */
  expected: Version | undefined;
  parents: readonly Version[];
  files: Files;
  /** Hash of the root tree, where it is known. */
  root?: string | undefined;
  description: string | undefined;
  child: string;
  rewrite: boolean;
};

/** What a commit comes to, and in which of the protocol's words. */
export function commit(
  repository: Repository,
  user: string,
  asked: Commit,
): { outcome: string; step: Step | undefined } {
  const { change: name, expected, files, description } = asked;
  const begin = () => repository.begin("commit");
  if (!expected) {
    const step = begin();
    const parents = visibleParents(repository, asked.parents);
    const made = { change: name, author: user, description: description ?? "", parents, files };
    repository.addVersion(step, { ...made, base: parents[0] });
    return { outcome: "CREATED", step };
  }
  const change = repository.change(name);
  const { at } = change;
  const isDescribed = (description ?? expected.description) !== expected.description;
  const text = isDescribed ? description! : at.description;
  const isSame = sameTree(asked, at) && text === at.description;
  if (isSame || (sameTree(asked, expected) && !isDescribed)) {
    return { outcome: "UNCHANGED", step: undefined };
  }
  const isInStep = sameTree(at, expected);
  const isRewritten = isSealed(repository, change, user) && asked.rewrite && !change.hidden;
  if (isRewritten && change.author !== user && repository.bookmarksAt(name).length > 0) {
    throw new Refusal("denied", "another author's, and a bookmark points at it");
  }
  if (!isRewritten && (change.hidden || isSealed(repository, change, user))) {
    const step = begin();
    const parents = visibleParents(repository, [isInStep ? at : expected]);
    const made = {
      change: asked.child,
      author: user,
      description: description ?? "",
      parents,
      files,
    };
    repository.addVersion(step, { ...made, base: parents[0] });
    return { outcome: "CHILD_CREATED", step };
  }
  if (!isInStep) return diverged(repository, user, { ...asked, expected });
  if (isRewritten) {
    const wish = { patches: [{ from: at.parents, to: files }], description: text };
    const plan = openPlan({ wishes: new Map([[name, wish]]) });
    return { outcome: "REWRITTEN", step: rewrite(repository, user, "commit", plan) };
  }
  const step = begin();
  const made = { change: name, author: user, description: text, parents: at.parents, files };
  repository.addVersion(step, { ...made, base: at });
  return { outcome: "VERSION_ADDED", step };
}

/** Tells whether a change must not be rewritten in place by a user. */
export function isSealed(repository: Repository, { name, author }: Change, user: string): boolean {
  const isPinned = repository.bookmarksAt(name).length + repository.childrenOf(name).length > 0;
  return author !== user || isPinned;
}

/** Gives a change a description. */
export function describe(
  repository: Repository,
  user: string,
  name: string,
  description: string,
): Step | undefined {
  const { at } = repository.named(name);
  if (at.description === description) return undefined;
  const step = repository.begin("describe");
  repository.addVersion(step, { ...at, author: user, description, base: at });
  return step;
}

/** Hides a change; what stands on it moves to its parents. */
export function remove(repository: Repository, user: string, name: string): Step | undefined {
  const parents = visibleParents(repository, repository.named(name).at.parents);
  const plan = openPlan({
    standIns: new Map([[name, parents]]),
    hidden: new Set([name]),
    moved: [{ from: name, to: parents[0]?.change }],
  });
  return rewrite(repository, user, "remove-change", plan);
}

/** Makes a change of several. */
export function merge(
  repository: Repository,
  user: string,
  asked: { names: readonly string[]; change: string; description: string },
): Step {
  const parents = asked.names.map((name) => repository.named(name).at);
  const step = repository.begin("merge-changes");
  insertMerge(repository, step, user, { ...asked, parents });
  return step;
}

/** Points a bookmark at a change. */
export function setBookmark(
  repository: Repository,
  bookmark: string,
  name: string,
  expected: string | undefined,
): Step | undefined {
  repository.named(name);
  const now = repository.bookmarks.get(bookmark) ?? "";
  if (expected !== undefined && expected !== now) throw new Refusal("conflict", "it has moved");
  if (now === name) return undefined;
  const step = repository.begin("set-bookmark");
  step.bookmarks.set(bookmark, name);
  return step;
}

/** Deletes a bookmark. */
export function deleteBookmark(repository: Repository, bookmark: string): Step {
  if (!repository.bookmarks.has(bookmark)) throw new Refusal("not-found", "no such bookmark");
  const step = repository.begin("delete-bookmark");
  step.bookmarks.set(bookmark, null);
  return step;
}

/**
 * Brings a bookmark and a change together. Whether a merge that cannot be foreseen has conflicts,
 * the server has `said`.
 */
export function sync(
  repository: Repository,
  user: string,
  asked: { bookmark: string; name: string; change: string; rebase: boolean },
  said: string | undefined,
): { outcome: string; step: Step | undefined } {
  const { bookmark, name } = asked;
  const own = repository.named(name).at;
  const at = repository.bookmarks.get(bookmark);
  const trunk = at === undefined ? undefined : repository.change(at).at;
  if (trunk === own) return { outcome: "IN_SYNC", step: undefined };
  const bases = trunk ? basesOf(own, [trunk]) : [];
  const [only, ...others] = bases;
  // Only described since: neither older nor younger for that.
  const isSame = (version: Version | undefined) => {
    const isOne = others.length === 0 && only?.change === version?.change;
    return version !== undefined && isOne && sameTree(version, only!);
  };
  const isNewer = trunk === undefined || bases.includes(trunk) || isSame(trunk);
  const isOlder = !isNewer && (bases.includes(own) || isSame(own));
  if (isOlder) return { outcome: "BEHIND", step: undefined };
  if (holdsConflict(own.files)) throw new Refusal("conflict", "it holds conflicts");
  const isOpen = (files: Files) => {
    return holdsConflict(files) || (holdsUnknown(files) && said === "CONFLICTED");
  };
  const step = repository.begin("sync-bookmark");
  if (!trunk || isNewer) {
    step.bookmarks.set(bookmark, name);
    return { outcome: trunk ? "FAST_FORWARDED" : "CREATED", step };
  }
  if (asked.rebase) {
    const plan = planBranch(repository, name, [trunk]);
    const rebased = rewrite(repository, user, "sync-bookmark", plan);
    const moved = rebased?.places.get(name)?.at;
    if (!rebased || !moved) throw new Refusal("conflict", "it stands there as it was before");
    if (isOpen(moved.files)) return { outcome: "CONFLICTED", step: rebased };
    rebased.bookmarks.set(bookmark, name);
    return { outcome: "REBASED", step: rebased };
  }
  const description = `merge ${name.slice(0, 8)} into ${bookmark}`;
  const made = { parents: [trunk, own], change: asked.change, description };
  const { files } = insertMerge(repository, step, user, made);
  if (isOpen(files)) return { outcome: "CONFLICTED", step };
  step.bookmarks.set(bookmark, asked.change);
  return { outcome: "MERGED", step };
}

export type Rebase = {
  scope: "CHANGE" | "SOURCE" | "BRANCH";
  name: string;
  destinations: string[];
};

/** Gives changes other parents. */
export function rebase(repository: Repository, user: string, asked: Rebase): Step | undefined {
  const { at } = repository.named(asked.name);
  const parents = asked.destinations.map((name) => repository.named(name).at);
  const wishes = new Map<string, Wish>([[asked.name, { parents }]]);
  let plan: Plan = openPlan({ wishes });
  if (asked.scope === "CHANGE") plan.standIns.set(asked.name, at.parents);
  if (asked.scope === "BRANCH") plan = planBranch(repository, asked.name, parents);
  return rewrite(repository, user, "rebase", plan);
}

export type Squash = {
  from: string;
  into: string;
  paths: string[];
  description: string | undefined;
};

/** Moves edits from one change into another. */
export function squash(repository: Repository, user: string, asked: Squash): Step | undefined {
  const [from, into] = [repository.named(asked.from), repository.named(asked.into)];
  if (from === into) throw new Refusal("usage", "into itself");
  const before = mergeVersions(from.at.parents);
  const isAll = asked.paths.length === 0;
  const picked = isAll ? from.at.files : pick(before, from.at.files, asked.paths);
  const left = isAll ? before : pick(from.at.files, before, asked.paths);
  if (!isAll && equalFiles(picked, before)) throw new Refusal("not-found", "no such edits");
  const edits = { from: before, to: picked };
  const isAbove = repository.descendantsOf([from.name]).has(into.name);
  const patches = isAbove ? [edits, editsOf(into)] : [editsOf(into), edits];
  const isEmpty = equalFiles(left, before);
  const texts = isEmpty ? [into.at.description, from.at.description] : [into.at.description];
  const kept = texts.filter((text) => text !== "").join("\n\n");
  const plan = openPlan();
  plan.wishes.set(into.name, { patches, description: asked.description ?? kept });
  if (isEmpty) {
    plan.standIns.set(from.name, from.at.parents);
    plan.hidden.add(from.name);
    plan.moved.push({ from: from.name, to: into.name });
  } else {
    plan.wishes.set(from.name, { patches: [{ from: from.at.parents, to: left }] });
  }
  return rewrite(repository, user, "squash", plan);
}

/** Puts in the place of hidden changes what they stood on. */
export function visibleParents(repository: Repository, parents: readonly Version[]): Version[] {
  let found = [...parents];
  for (;;) {
    const hidden = found.find(({ change }) => repository.change(change).hidden);
    if (!hidden) return found;
    found = replaceParent(found, hidden.change, repository.change(hidden.change).at.parents);
  }
}

/** The terms of a conflict may be the same, but not in the same order. */
function sameTree(a: Pick<Commit, "files" | "root">, b: Pick<Commit, "files" | "root">): boolean {
  return a.root !== undefined && b.root !== undefined
    ? a.root === b.root
    : equalFiles(a.files, b.files);
}

function diverged(
  repository: Repository,
  user: string,
  asked: Commit & { expected: Version },
): { outcome: string; step: Step | undefined } {
  const { change, expected, files, description = expected.description } = asked;
  const twin = repository.change(change).versions.find((version) => {
    const isSame = sameTree(version, asked) && version.description === description;
    return version.number > expected.number && version.author === user && isSame;
  });
  if (twin) return { outcome: "DIVERGED", step: undefined };
  const step = repository.begin("commit");
  const { parents } = expected;
  const made = { change, author: user, description, parents, base: expected, files };
  repository.addVersion(step, made, true);
  return { outcome: "DIVERGED", step };
}

function insertMerge(
  repository: Repository,
  step: Step,
  user: string,
  { parents, change, description }: { parents: Version[]; change: string; description: string },
): Version {
  const made = { change, author: user, description, parents, base: parents[0] };
  return repository.addVersion(step, { ...made, files: mergeVersions(parents) });
}

/** A change, and its ancestors that are none of the destinations', onto these. */
function planBranch(repository: Repository, tip: string, parents: readonly Version[]): Plan {
  const shared = repository.ancestorsOf(parents.map(({ change }) => change));
  const branch = repository.ancestorsOf([tip]).difference(shared);
  const plan = openPlan();
  for (const name of branch) {
    const within = repository.change(name).at.parents.filter(({ change }) => branch.has(change));
    plan.wishes.set(name, { parents: within.length > 0 ? within : parents });
  }
  return plan;
}

/** Takes paths, and what is below them, over from another snapshot. */
function pick(files: Files, other: Files, paths: readonly string[]): Files {
  const isPicked = (path: string) => {
    return paths.some((picked) => path === picked || path.startsWith(`${picked}/`));
  };
  const kept = [...files].filter(([path]) => !isPicked(path));
  return new Map([...kept, ...[...other].filter(([path]) => isPicked(path))]);
}

/** Makes a change that does the inverse of another. */
export function revert(
  repository: Repository,
  user: string,
  asked: { revision: string; destination: string; name: string },
): Step | undefined {
  const { at } = repository.named(asked.revision);
  const onto = repository.named(asked.destination).at;
  const patch = { from: at.files, to: at.parents };
  const reverted = mergeFiles(at.files, onto.files, mergeVersions(at.parents));
  if (equalFiles(reverted, onto.files)) throw new Refusal("usage", "nothing to revert");
  const [subject] = at.description.split("\n");
  const description = `revert "${subject || at.change}"`;
  const wish = { parents: [onto], patches: [patch], description };
  const plan = openPlan({ created: new Map([[asked.name, wish]]) });
  return rewrite(repository, user, "revert", plan);
}
