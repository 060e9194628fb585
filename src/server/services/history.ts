/** Walks over the graph of changes, newest first, a few hundred changes at a time. */
import { equalEntries, type Entry } from "#core/tree.ts";
import type { Sql } from "../db/connect.ts";
import {
  findAllTouching,
  findTouching,
  listNewest,
  readAncestry,
  readRoots,
  type ChangeNode,
  type ListedNode,
} from "../db/graph.ts";
import { findEntry } from "./tree-lookup.ts";
import { treeReader } from "./tree-walk.ts";

const batchMin = 32;
const batchMax = 1024;
// A path that is touched oftener is looked for change by change.
const touchedRowsMax = 20_000;

/**
 * Yields the visible changes, the newest first, but descendants before their ancestors: one that
 * was pushed after a child of it waits for the child, and so does whatever it descends from.
 */
export async function* newest(
  sql: Sql,
  repositoryId: number,
  expected: number,
): AsyncGenerator<ChangeNode> {
  // Those that were listed and wait, and for each the children that are still to be yielded. A
  // child that waits is noted before its parent is listed.
  const waiting = new Map<number, ListedNode>();
  const childrenLeft = new Map<number, Set<number>>();
  const wait = (parent: number, child: number) => {
    childrenLeft.set(parent, (childrenLeft.get(parent) ?? new Set()).add(child));
  };
  let last: ListedNode | undefined;
  let size = firstBatch(expected);
  do {
    const nodes = await listNewest(sql, repositoryId, last, size);
    for (const node of nodes) {
      for (const child of node.olderChildren) wait(node.changeId, child);
      if (childrenLeft.has(node.changeId)) {
        waiting.set(node.changeId, node);
        for (const parent of node.parents) wait(parent, node.changeId);
      } else {
        yield* release(node, waiting, childrenLeft);
      }
    }
    last = nodes.length < size ? undefined : nodes.at(-1);
    size = Math.min(size * 2, batchMax);
  } while (last);
  // Their children were pushed again, or removed, while they were listed.
  yield* [...waiting.values()].sort(compareAge).reverse();
}

/** Yields a change, and then what waited for nothing else, the newest first. */
function* release(
  first: ListedNode,
  waiting: Map<number, ListedNode>,
  childrenLeft: Map<number, Set<number>>,
): Generator<ChangeNode> {
  const ready = [first];
  for (let node = ready.pop(); node; node = ready.pop()) {
    yield node;
    for (const parent of node.parents) {
      const left = childrenLeft.get(parent);
      if (!left?.delete(node.changeId) || left.size > 0) continue;
      childrenLeft.delete(parent);
      const released = waiting.get(parent);
      if (!released) continue;
      waiting.delete(parent);
      insertSorted(ready, released, compareTime);
    }
  }
}

/** Yields changes and all their ancestors, descendants before their ancestors. */
export async function* ancestors(
  sql: Sql,
  repositoryId: number,
  starts: readonly number[],
  expected: number,
): AsyncGenerator<ChangeNode> {
  const near = new Map<number, ChangeNode>();
  const met = new Set<number>();
  // The next to yield is the last.
  const frontier: ChangeNode[] = [];
  let size = firstBatch(expected);
  let found = [...new Set(starts)];
  while (true) {
    const fresh = found.filter((changeId) => !met.has(changeId));
    if (fresh.some((changeId) => !near.has(changeId))) {
      const nodes = await readAncestry(sql, repositoryId, fresh, size);
      for (const node of nodes) near.set(node.changeId, node);
      size = Math.min(size * 2, batchMax);
    }
    for (const changeId of fresh) {
      const node = near.get(changeId);
      if (!node) throw new Error(`change ${changeId} is gone`);
      met.add(changeId);
      near.delete(changeId);
      insertSorted(frontier, node, compareAge);
    }
    const next = frontier.pop();
    if (!next) return;
    yield next;
    found = next.parents;
  }
}

/** Yields those changes whose files at or below one of the paths differ from their parent's. */
export async function* touching(
  sql: Sql,
  repositoryId: number,
  nodes: AsyncIterable<ChangeNode>,
  paths: readonly string[],
): AsyncGenerator<ChangeNode> {
  const all = await findAllTouching(sql, repositoryId, paths, touchedRowsMax);
  if (all?.size === 0) return;
  let left = all?.size ?? Number.POSITIVE_INFINITY;
  let batch: ChangeNode[] = [];
  for await (const node of nodes) {
    if (all && !all.has(node.changeId)) continue;
    batch.push(node);
    left--;
    if (batch.length < batchMin && left > 0) continue;
    yield* verified(sql, repositoryId, batch, paths, all !== undefined);
    batch = [];
    if (left === 0) return;
  }
  yield* verified(sql, repositoryId, batch, paths, all !== undefined);
}

/**
 * The index knows which paths the versions of a change ever touched; whether the change as it is
 * now still touches them, the trees know.
 */
async function* verified(
  sql: Sql,
  repositoryId: number,
  batch: readonly ChangeNode[],
  paths: readonly string[],
  isIndexed: boolean,
): AsyncGenerator<ChangeNode> {
  const changeIds = batch.map((node) => node.changeId);
  const known = isIndexed || (await findTouching(sql, repositoryId, changeIds, paths));
  const candidates = batch.filter((node) => known === true || known.has(node.changeId));
  if (candidates.length === 0) return;
  const versionIds = candidates.map((node) => node.versionId);
  const roots = await readRoots(sql, repositoryId, versionIds);
  const read = treeReader(sql, repositoryId);
  for (const node of candidates) {
    const { tree, parentTree } = roots.get(node.versionId)!;
    for (const path of paths) {
      const after = await findEntry(read, tree, path);
      const before = parentTree ? await findEntry(read, parentTree, path) : undefined;
      if (isSame(before, after)) continue;
      yield node;
      break;
    }
  }
}

function isSame(before: Entry | undefined, after: Entry | undefined): boolean {
  return before && after ? equalEntries(before, after) : before === after;
}

function firstBatch(expected: number): number {
  return Math.min(Math.max(expected, batchMin), batchMax);
}

function insertSorted<Node extends ChangeNode>(
  sorted: Node[],
  node: Node,
  compare: (a: ChangeNode, b: ChangeNode) => number,
): void {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(sorted[middle]!, node) < 0) low = middle + 1;
    else high = middle;
  }
  sorted.splice(low, 0, node);
}

function compareAge(a: ChangeNode, b: ChangeNode): number {
  return a.generation - b.generation || compareTime(a, b);
}

function compareTime(a: ChangeNode, b: ChangeNode): number {
  return a.updatedAt.getTime() - b.updatedAt.getTime() || a.changeId - b.changeId;
}
