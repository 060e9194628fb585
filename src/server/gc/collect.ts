/**
 * Collects garbage, in two stages. A repository condemns what nothing that is kept names, and
 * lets go of it a grace period later, unless somebody wanted it meanwhile. What no repository
 * holds is doomed, and deleted from the store a grace period after that. Pushes go on all the
 * time, and several servers may collect at once: each repository is left to one of them.
 */
import type { Hash } from "#core/hash.ts";
import { dayMs } from "#core/limits.ts";
import {
  condemn,
  countUnmet,
  doomStrays,
  doomUnheld,
  expireVersions,
  listHoldings,
  listUnmet,
  takeDoomed,
} from "../db/collection.ts";
import { transaction, type Sql } from "../db/connect.ts";
import { addUpUsage } from "../db/usage.ts";
import { beginWalk, endWalk } from "../db/walks.ts";
import { inLanes } from "../store/lanes.ts";
import type { ObjectStore } from "../store/store.ts";
import { interrupted, markAll, type Strategy } from "./mark.ts";

export type CollectOptions = {
  /** Only says what there is to collect. */
  dryRun: boolean;
  /** How long what was removed or overwritten can be gone back to. */
  retentionMs: number;
  /** How long what nothing names is kept for who may be about to name it. */
  graceMs: number;
  /** Repositories of more trees are walked over in batches. */
  memoryTreesMax: number;
  /** Ends it between two steps. */
  signal?: AbortSignal;
};

/** What was done so far. With `dryRun`, unnamed is what is there now, and nothing else is. */
export type Collected = {
  repositories: number;
  /** Trees that were looked at. */
  walked: number;
  expiredVersions: number;
  /** What nothing names, as far as the repositories still hold it: each counts what it holds. */
  unnamedTrees: number;
  unnamedObjects: number;
  unnamedBytes: number;
  /** What repositories let go of. */
  deletedTrees: number;
  deletedObjects: number;
  /** What was deleted from the store. */
  freedObjects: number;
  freedBytes: number;
  /** What was found in the store and nobody knew of. */
  strays: number;
};

export const collectDefaults: CollectOptions = {
  dryRun: false,
  retentionMs: 30 * dayMs,
  graceMs: dayMs,
  // With their objects and as keys of a set, some 100 MB.
  memoryTreesMax: 50_000,
};

/** How to collect when removed changes can be gone back to for so long. */
export function collectOptions(retentionMs: number | undefined): CollectOptions {
  return retentionMs === undefined ? collectDefaults : { ...collectDefaults, retentionMs };
}

const sweptPerTransaction = 64;
const deleteLanesMax = 8;
const straysPerQuery = 4096;

type Parts = { sql: Sql; store: ObjectStore };

/**
 * Collects in all repositories and in the store; says from time to time how far it is. Where that
 * fails, as in a repository that is damaged, it goes on elsewhere and fails in the end.
 */
export async function* collect(parts: Parts, options: CollectOptions): AsyncGenerator<Collected> {
  const done: Collected = {
    repositories: 0,
    walked: 0,
    expiredVersions: 0,
    unnamedTrees: 0,
    unnamedObjects: 0,
    unnamedBytes: 0,
    deletedTrees: 0,
    deletedObjects: 0,
    freedObjects: 0,
    freedBytes: 0,
    strays: 0,
  };
  let failure: unknown;
  for (const { repositoryId, treeCount } of await listHoldings(parts.sql)) {
    const strategy = treeCount > options.memoryTreesMax ? "batches" : "memory";
    try {
      if (await collectRepository(parts.sql, repositoryId, strategy, options, done)) {
        done.repositories++;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      // It keeps everything. The others need not: the failure is told when they are done.
      failure ??= error;
    }
    yield { ...done };
  }
  if (!options.dryRun) {
    await doomUnheld(parts.sql);
    await findStrays(parts, done);
    yield { ...done };
    while (await sweep(parts, options.graceMs, done)) {
      options.signal?.throwIfAborted();
      yield { ...done };
    }
  }
  yield done;
  if (failure !== undefined) throw failure;
}

/** Collects in one repository; says no when another server does it at the moment. */
async function collectRepository(
  sql: Sql,
  repositoryId: number,
  strategy: Strategy,
  { dryRun, retentionMs, graceMs, signal }: CollectOptions,
  done: Collected,
): Promise<boolean> {
  const walk = await beginWalk(sql, repositoryId);
  if (!walk) return false;
  try {
    if (!dryRun) done.expiredVersions += await expireVersions(sql, repositoryId, retentionMs);
    const met = (trees: number) => {
      signal?.throwIfAborted();
      done.walked += trees;
    };
    await markAll(sql, walk, { retentionMs, strategy, met });
    await listUnmet(sql, walk);
    if (!dryRun) {
      const deleted = await transaction(sql, (tx) => condemn(tx, walk, graceMs));
      if (!deleted) throw interrupted();
      done.deletedTrees += deleted.trees;
      done.deletedObjects += deleted.objects;
      await addUpUsage(sql, repositoryId);
    }
    const { trees, objects, bytes } = await countUnmet(sql, walk);
    done.unnamedTrees += trees;
    done.unnamedObjects += objects;
    done.unnamedBytes += bytes;
    return true;
  } finally {
    await endWalk(sql, walk);
  }
}

/** Dooms what is in the store without a row, as a server leaves it that dies while it puts. */
async function findStrays({ sql, store }: Parts, done: Collected): Promise<void> {
  let page: Hash[] = [];
  const flush = async () => {
    done.strays += await doomStrays(sql, page);
    page = [];
  };
  for await (const hash of store.list()) {
    page.push(hash);
    if (page.length >= straysPerQuery) await flush();
  }
  await flush();
}

/** Deletes some of what is doomed; says whether there was any. */
async function sweep({ sql, store }: Parts, graceMs: number, done: Collected): Promise<boolean> {
  return await transaction(sql, async (tx) => {
    const doomed = await takeDoomed(tx, graceMs, sweptPerTransaction);
    await inLanes(doomed, deleteLanesMax, ({ hash }) => store.delete(hash));
    done.freedObjects += doomed.length;
    for (const { storedSize } of doomed) done.freedBytes += storedSize;
    return doomed.length > 0;
  });
}
