/** Renders the conflicts of a change: how each stands is conflict-files.ts's business. */
import { hashKey, type Hash } from "#core/hash.ts";
import { baseName, foldName, joinPath, parentPath } from "#core/path.ts";
import {
  decodeTree,
  emptyTreeHash,
  equalEntries,
  type ConflictEntry,
  type Entry,
} from "#core/tree.ts";
import {
  foldedNames,
  numberedLabels,
  renderConflict,
  type Labels,
  type Rendering,
} from "./conflict-files.ts";
import type { Remote } from "./remote.ts";
import { baseTree, type TreeSource } from "./state-directories.ts";
import type { CurrentChange } from "./state.ts";
import {
  baseConflicts,
  noConflicts,
  type RenderedConflicts,
} from "./working-copy/conflict-records.ts";
import type { Workspace } from "./workspace.ts";

/** A version that a side may be from. */
type Origin = { change: string; version: number; description: string };
type Holder = { name: string; version: number; description: string; parents: Origin[] };
type Found = { path: string; entry: ConflictEntry; siblings: readonly Entry[] };

// Above, sides are numbered: whose they are would have to be asked path by path.
const namedConflictsMax = 100;
const ancestorsMax = 20;
const shownLetters = 8;

/** Renders all conflicts of a change that is about to be checked out. */
export async function renderConflicts(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  target: CurrentChange,
  source: TreeSource,
): Promise<RenderedConflicts> {
  if (!target.conflicted) return noConflicts;
  const rendered: RenderedConflicts = { records: new Map(), objects: new Map() };
  const trees = treeLoader(workspace, remote, source);
  const known = baseConflicts(workspace.state);
  const fresh: Found[] = [];
  const taken = new Map<string, Set<string>>();
  for await (const found of conflictsBelow(trees, "", target.tree)) {
    const { path, entry, siblings } = found;
    const directory = parentPath(path);
    const names = taken.get(directory) ?? foldedNames(siblings);
    taken.set(directory, names);
    const before = known.get(path);
    if (!before || !equalEntries(before.entry, entry)) {
      fresh.push(found);
      continue;
    }
    rendered.records.set(path, before);
    for (const standIn of before.standIns) names.add(foldName(baseName(standIn)));
  }
  if (fresh.length === 0) return rendered;
  const origins = fresh.length > namedConflictsMax ? [] : await findOrigins(remote, target);
  const rendering: Rendering = { remote, trees, objects: rendered.objects };
  for (const { path, entry } of fresh) {
    const labels = await labelSides(remote, origins, path, entry);
    const names = taken.get(parentPath(path))!;
    rendered.records.set(path, await renderConflict(rendering, path, entry, labels, names));
  }
  return rendered;
}

/**
 * Whose sides may be in conflict: the parents of the change, or of the one it has them from, and
 * what that was before it was put on top of them.
 */
async function findOrigins(remote: Remote, target: CurrentChange): Promise<Origin[]> {
  let holder: Holder = target;
  for (let step = 0; step < ancestorsMax; step++) {
    const { name, version, description, parents } = holder;
    const [first, second] = parents;
    if (!first) return [];
    const earlier = [version - 1, version - 2].filter((number) => number > 0);
    const own = earlier.map((number) => ({ change: name, version: number, description }));
    if (second) return [...parents, ...own];
    const above = await remote.getChange(`${first.change}@${first.version}`);
    if (!above.conflicted) return [first, ...own];
    holder = above;
  }
  return [];
}

/** Yields the conflicts below a directory, and what stands next to them. */
async function* conflictsBelow(
  trees: (hash: Hash) => Promise<Entry[]>,
  path: string,
  tree: Hash,
): AsyncGenerator<Found> {
  const siblings = await trees(tree);
  for (const entry of siblings) {
    const child = joinPath(path, entry.name);
    if (entry.kind === "directory") yield* conflictsBelow(trees, child, entry.hash);
    else if (entry.kind === "conflict") yield { path: child, entry, siblings };
  }
}

/** Finds trees in what was fetched, in the base, and on the server. */
export function treeLoader(
  { state }: Workspace,
  remote: Remote,
  source: TreeSource,
): (hash: Hash) => Promise<Entry[]> {
  const fetched = new Map<string, Uint8Array>();
  return async (hash) => {
    if (hashKey(hash) === hashKey(emptyTreeHash)) return [];
    let bytes = source(hash) ?? baseTree(state, hash) ?? fetched.get(hashKey(hash));
    if (!bytes) {
      for await (const tree of remote.getTrees(hash, undefined)) {
        fetched.set(hashKey(tree.hash), tree.bytes);
        bytes ??= tree.bytes;
      }
    }
    return decodeTree(bytes ?? new Uint8Array(0));
  };
}

/** Names the sides for the versions that have them. */
async function labelSides(
  remote: Remote,
  origins: readonly Origin[],
  path: string,
  { sides }: ConflictEntry,
): Promise<Labels> {
  const { names, titles } = numberedLabels(sides);
  for (const { change, version, description } of origins) {
    const name = change.slice(0, shownLetters);
    if (names.includes(name)) continue;
    const revision = `${change}@${version}`;
    const index = await findSide(remote, revision, path, sides, names);
    if (index < 0) continue;
    names[index] = name;
    const [line = ""] = description.split("\n", 1);
    titles[index] = `${name} ${line}`.trim();
  }
  return { names, titles };
}

async function findSide(
  remote: Remote,
  revision: string,
  path: string,
  sides: ConflictEntry["sides"],
  names: readonly string[],
): Promise<number> {
  const found = new Map<string, Entry | undefined>();
  for (const [index, side] of sides.entries()) {
    if (!names[index]?.startsWith("side-")) continue;
    const at = side?.path ?? path;
    if (!found.has(at)) found.set(at, await entryAt(remote, revision, at));
    const entry = found.get(at);
    if (!side && !entry) return index;
    if (!side || !entry) continue;
    const { path: _, ...term } = side;
    if (equalEntries({ ...term, name: entry.name } as Entry, entry)) return index;
  }
  return -1;
}

async function entryAt(remote: Remote, revision: string, path: string): Promise<Entry | undefined> {
  const entry = (await remote.findEntry(revision, path))?.entry;
  return entry?.$case === "entryTree" ? decodeTree(entry.value)[0] : undefined;
}
