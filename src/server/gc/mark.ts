/**
 * Meets everything that a repository's versions hold. A small repository is walked over in memory;
 * in a large one the database remembers what was met, and no more than a few directories are in
 * memory. Both leave the same marks.
 */
import { hashKey, keyHash, type Hash } from "#core/hash.ts";
import { decodeTree } from "#core/tree.ts";
import { PogoError } from "#core/errors.ts";
import { markRoots } from "../db/collection.ts";
import type { Sql } from "../db/connect.ts";
import { namedHashes } from "../db/revive.ts";
import { addMarks, continueWalk, markChunks, takeOpen, type Walk } from "../db/walks.ts";
import { treeReader } from "../services/tree-walk.ts";

export type Strategy = "memory" | "batches";

/** What a walk has met. */
type Marks = {
  addTrees(hashes: readonly Hash[]): Promise<void>;
  addObjects(hashes: readonly Hash[]): Promise<void>;
  /** Some trees that were met and not looked at; none when all were. */
  takeOpen(): Promise<Hash[]>;
  /** Writes down what is only in memory. */
  finish(): Promise<void>;
};

const treesPerTurn = 128;
const marksPerQuery = 8192;

/** Marks all that is held by versions that are kept. */
export async function markAll(
  sql: Sql,
  walk: Walk,
  options: { retentionMs: number; strategy: Strategy; met: (trees: number) => void },
): Promise<void> {
  const { retentionMs, strategy, met } = options;
  const inTable = tableMarks(sql, walk);
  const marks = strategy === "memory" ? memoryMarks(sql, walk, inTable) : inTable;
  const read = treeReader(sql, walk.repositoryId);
  // Versions that come meanwhile are met as well, until there is none that did.
  while ((await markRoots(sql, walk, retentionMs)) > 0) {
    for (;;) {
      const open = await marks.takeOpen();
      if (open.length === 0) break;
      let named = { trees: [] as Hash[], objects: [] as Hash[] };
      const flush = async () => {
        const { trees, objects } = named;
        named = { trees: [], objects: [] };
        await marks.addTrees(trees);
        await marks.addObjects(objects);
      };
      for await (const { bytes } of read(open)) {
        const { trees, objects } = namedHashes(decodeTree(bytes));
        for (const hash of trees) named.trees.push(hash);
        for (const hash of objects) named.objects.push(hash);
        if (named.trees.length + named.objects.length >= marksPerQuery) await flush();
      }
      await flush();
      met(open.length);
      await goOn(sql, walk);
    }
    await marks.finish();
  }
  await markChunks(sql, walk);
}

async function goOn(sql: Sql, walk: Walk): Promise<void> {
  if (!(await continueWalk(sql, walk))) throw interrupted();
}

/** The failure to collect on marks that others took for a dead server's. */
export function interrupted(): PogoError {
  return new PogoError("unavailable", "the collection was interrupted for too long", {
    hint: "start it again: pogo gc",
  });
}

function tableMarks(sql: Sql, walk: Walk): Marks {
  return {
    addTrees: (hashes) => addMarks(sql, walk, "tree", hashes, { isOpen: true }),
    addObjects: (hashes) => addMarks(sql, walk, "object", hashes, { isOpen: false }),
    takeOpen: () => takeOpen(sql, walk, treesPerTurn),
    finish: async () => {},
  };
}

function memoryMarks(sql: Sql, walk: Walk, table: Marks): Marks {
  const trees = new Set<string>();
  const objects = new Set<string>();
  const open: string[] = [];
  return {
    async addTrees(hashes) {
      for (const key of hashes.map(hashKey)) {
        if (trees.has(key)) continue;
        trees.add(key);
        open.push(key);
      }
    },
    async addObjects(hashes) {
      for (const hash of hashes) objects.add(hashKey(hash));
    },
    async takeOpen() {
      if (open.length > 0) return open.splice(-treesPerTurn).map(keyHash);
      // The roots are in the table.
      for (;;) {
        const roots = await table.takeOpen();
        const fresh = roots.filter((hash) => !trees.has(hashKey(hash)));
        for (const hash of fresh) trees.add(hashKey(hash));
        if (fresh.length > 0 || roots.length === 0) return fresh;
      }
    },
    async finish() {
      for (const [kind, keys] of [["tree", trees] as const, ["object", objects] as const]) {
        const all = [...keys].map(keyHash);
        for (let start = 0; start < all.length; start += marksPerQuery) {
          const page = all.slice(start, start + marksPerQuery);
          await addMarks(sql, walk, kind, page, { isOpen: false });
        }
      }
    },
  };
}
