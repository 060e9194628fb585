/** Builds the trees of a merge: what was decided about single paths, laid over our side's trees. */
import { equalHashes, type Hash } from "./hash.ts";
import { clashEntry, foldCollisions } from "./merge-clash.ts";
import type { LeafEntry } from "./merge-walk.ts";
import { joinPath } from "./path.ts";
import { loadEntries, type TreeLoader } from "./tree-diff.ts";
import { compareNames, emptyTreeHash, encodeTree, treeHash, type Entry } from "./tree.ts";

/** What was decided: entries by path, or undefined where nothing is to stand. */
export type Decisions = {
  /** Whole directories (or their absence) that replace ours. */
  taken: Map<string, Entry | undefined>;
  leaves: Map<string, LeafEntry | undefined>;
  /** Paths at which this merge made a conflict, rather than found one. */
  open: ReadonlySet<string>;
  /** Directories of the base that a file replaced on one side, and that live on on the other. */
  replaced: ReadonlyMap<string, Hash>;
  /** Nobody will see the result: a directory wins over a file of its name. */
  isVirtual: boolean;
  caseSensitive: boolean;
};

export type BuiltTree = { hash: Hash; encoded: Uint8Array };

/** Builds the merged root; `trees` are the ones that are new, `conflicts` the decided ones. */
export async function applyDecisions(
  loadTrees: TreeLoader,
  oursRoot: Hash | undefined,
  decisions: Decisions,
): Promise<{ root: Hash; trees: BuiltTree[]; conflicts: string[] }> {
  const top: Node = { children: new Map() };
  for (const [path, entry] of decisions.taken) nodeAt(top, path).taken = { entry };
  for (const [path, entry] of decisions.leaves) nodeAt(top, path).leaf = { entry };
  const builder: Builder = { loadTrees, trees: [], conflicts: new Set(), decisions };
  const ours: Entry | undefined = oursRoot && { kind: "directory", name: "", hash: oursRoot };
  const root = await build(builder, top, "", ours);
  const { trees } = builder;
  const conflicts = [...builder.conflicts].sort(compareNames);
  return { root: root?.kind === "directory" ? root.hash : emptyTreeHash, trees, conflicts };
}

/** A path about which, or below which, something was decided. */
type Node = {
  children: Map<string, Node>;
  taken?: { entry: Entry | undefined };
  leaf?: { entry: LeafEntry | undefined };
};

type Builder = {
  loadTrees: TreeLoader;
  trees: BuiltTree[];
  conflicts: Set<string>;
  decisions: Decisions;
};

function nodeAt(top: Node, path: string): Node {
  let node = top;
  for (const name of path === "" ? [] : path.split("/")) {
    let child = node.children.get(name);
    if (!child) {
      child = { children: new Map() };
      node.children.set(name, child);
    }
    node = child;
  }
  return node;
}

async function build(
  builder: Builder,
  node: Node,
  path: string,
  ours: Entry | undefined,
): Promise<Entry | undefined> {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const start = node.taken ? node.taken.entry : ours;
  let leaf = start?.kind === "directory" ? undefined : start;
  if (node.leaf) leaf = node.leaf.entry;
  let directory = start?.kind === "directory" ? start : undefined;
  if (node.children.size > 0) {
    const hash = await buildDirectory(builder, node, path, directory?.hash);
    directory = hash && { kind: "directory", name, hash };
  }
  const { isVirtual, open, replaced } = builder.decisions;
  if (!leaf || (directory && isVirtual)) return directory && { ...directory, name };
  if (directory || open.has(path)) builder.conflicts.add(path);
  if (!directory) return { ...leaf, name };
  return clashEntry(name, leaf, directory, replaced.get(path), ours?.kind === "directory");
}

async function buildDirectory(
  builder: Builder,
  node: Node,
  path: string,
  start: Hash | undefined,
): Promise<Hash | undefined> {
  const [entries = []] = await loadEntries(builder.loadTrees, [start]);
  const built = new Map(entries.map((entry) => [entry.name, entry]));
  const known = new Set(built.keys());
  for (const [name, child] of node.children) {
    const entry = await build(builder, child, joinPath(path, name), built.get(name));
    if (entry) built.set(name, entry);
    else built.delete(name);
  }
  const { isVirtual, caseSensitive } = builder.decisions;
  const isGrown = [...built.keys()].some((name) => !known.has(name));
  if (isGrown && !caseSensitive && !isVirtual) foldNames(builder, path, built);
  if (built.size === 0) return undefined;
  const encoded = encodeTree([...built.values()]);
  const hash = treeHash(encoded);
  if (!start || !equalHashes(hash, start)) builder.trees.push({ hash, encoded });
  return hash;
}

function foldNames({ conflicts }: Builder, path: string, built: Map<string, Entry>): void {
  for (const name of foldCollisions(path, built)) {
    const child = joinPath(path, name);
    for (const conflict of conflicts) {
      if (conflict === child || conflict.startsWith(`${child}/`)) conflicts.delete(conflict);
    }
    if (built.get(name)?.kind === "conflict") conflicts.add(child);
  }
}
