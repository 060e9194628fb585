/**
 * Best common ancestors on the graph of versions. A version is younger than all that it was made
 * from and has a larger id, so going down by id meets every version once, after all that were
 * made from it: the cost is in versions, not in paths, and nothing older than the oldest base is
 * looked at but what was read along.
 */
import { graphRepositoriesMax, graphVersionsMax } from "#core/limits.ts";
import {
  readNearOrigins,
  readOrigins,
  readOriginsBelow,
  type VersionNode,
} from "../../db/ancestry.ts";
import type { Queries } from "../../db/connect.ts";

export type VersionGraph = {
  /** All best common ancestors of a version and a merge of the others, oldest first. */
  basesOf(one: number, others: readonly number[]): Promise<number[]>;
  /** Takes note of a version that was just made, and of what it was made from. */
  note(versionId: number, origins: number[]): void;
};

const fromOne = 1;
const fromOthers = 2;
const fromBoth = fromOne | fromOthers;
/** Older than a base that was found. */
const belowBase = 4;

/** By pool of connections and repository. */
const graphs = new WeakMap<Queries, Map<number, Map<number, number[]>>>();

const nearCount = 64;
// Farther down whole ranges are read: most versions of a range are of some use.
const rangeMin = 256;
const rangeMax = 8192;

/**
 * Opens the graph of a repository; what was read of it is kept, also for those who open it again.
 * `planned` are versions that are to be, with what they are made from: younger than all others.
 */
export function openVersionGraph(
  sql: Queries,
  repositoryId: number,
  planned: ReadonlyMap<number, number[]> = new Map(),
): VersionGraph {
  const read = knownOrigins(sql, repositoryId);
  // Of a graph that was walked before nothing may be missing but the youngest.
  let distance: "next" | "near" | "far" = read.size > 0 ? "next" : "near";
  let size = rangeMin;

  async function readAround(versionId: number, open: readonly number[]): Promise<VersionNode[]> {
    const asked = [versionId, ...open];
    const now = distance;
    distance = now === "next" ? "near" : "far";
    if (now === "next") {
      const missing = asked.filter((id) => !planned.has(id) && !read.has(id));
      return await readOrigins(sql, repositoryId, missing);
    }
    if (now === "near") return await readNearOrigins(sql, repositoryId, asked, nearCount);
    const nodes = await readOriginsBelow(sql, repositoryId, versionId, size);
    size = Math.min(size * 4, rangeMax);
    return nodes;
  }

  async function originsOf(versionId: number, open: readonly number[]): Promise<number[]> {
    const isKnown = planned.has(versionId) || read.has(versionId);
    if (!isKnown) {
      const nodes = await readAround(versionId, open);
      // Planned ones are in no database, and are others' next time.
      for (const { versionId: id, origins } of nodes) if (!planned.has(id)) read.set(id, origins);
    }
    const origins = planned.get(versionId) ?? read.get(versionId);
    if (!origins) throw new Error(`version ${versionId} is gone`);
    return origins;
  }

  async function basesOf(one: number, others: readonly number[]): Promise<number[]> {
    const marks = new Map<number, number>();
    // Sorted: the next to look at is the last.
    const open: number[] = [];
    let candidates = 0;
    const mark = (versionId: number, bits: number) => {
      const before = marks.get(versionId);
      const after = (before ?? 0) | bits;
      marks.set(versionId, after);
      if (before === undefined) insertSorted(open, versionId);
      if (before === undefined || (before & belowBase) === 0) {
        const was = before === undefined ? 0 : 1;
        candidates += ((after & belowBase) === 0 ? 1 : 0) - was;
      }
    };
    mark(one, fromOne);
    for (const other of others) mark(other, fromOthers);
    const bases: number[] = [];
    while (candidates > 0) {
      const versionId = open.pop()!;
      let bits = marks.get(versionId)!;
      if ((bits & belowBase) === 0) candidates--;
      if (bits === fromBoth) {
        bases.push(versionId);
        bits |= belowBase;
      }
      for (const origin of await originsOf(versionId, open)) mark(origin, bits);
    }
    return bases.reverse();
  }

  return { basesOf, note: (versionId, origins) => void read.set(versionId, origins) };
}

/** What was read of a repository's graph: versions never change, so it stays true. */
function knownOrigins(sql: Queries, repositoryId: number): Map<number, number[]> {
  let repositories = graphs.get(sql);
  if (!repositories) graphs.set(sql, (repositories = new Map()));
  let known = repositories.get(repositoryId);
  if (!known || known.size > graphVersionsMax) known = new Map();
  // The one that was asked for last stands last.
  repositories.delete(repositoryId);
  repositories.set(repositoryId, known);
  const [oldest] = repositories.keys();
  if (repositories.size > graphRepositoriesMax) repositories.delete(oldest!);
  return known;
}

function insertSorted(open: number[], versionId: number): void {
  let low = 0;
  let high = open.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (open[middle]! < versionId) low = middle + 1;
    else high = middle;
  }
  open.splice(low, 0, versionId);
}
