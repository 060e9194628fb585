/**
 * Deletes old snapshots: first they go, durably, and then the objects that none of the others
 * names. Whoever is killed in between leaves objects that nobody names, and the next deletes them.
 */
import assert from "node:assert/strict";
import { rmSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { toHex, type Hash } from "#core/hash.ts";
import {
  listSnapshots,
  lockReaders,
  neededObjects,
  pathOf,
  syncSnapshots,
  type Backup,
} from "./directory.ts";
import { verifySnapshot } from "./format.ts";

/** As many snapshots can stay: all are read side by side. */
export const keepMax = 400;

export type PruneOptions = {
  /** How many snapshots stay: the newest ones. */
  keep: number;
  /** One that stays, even if a clock that was put back makes it look old. */
  made: string;
  signal?: AbortSignal | undefined;
  progress?: { add(amount: { files: number; bytes: number }): void };
};

export type Pruned = { snapshots: string[]; objects: number; bytes: number };

/** Deletes all but the newest snapshots; nothing while somebody reads the backups. */
export async function pruneBackup(
  backup: Backup,
  { keep, made, signal, progress }: PruneOptions,
): Promise<Pruned | undefined> {
  using lock = lockReaders(backup);
  if (!lock) return undefined;
  const all = listSnapshots(backup);
  const kept = all.filter((name, index) => name === made || index >= all.length - keep);
  // What a damaged one names is not known. It throws, and says what to do.
  for (const name of kept) await verifySnapshot(pathOf(backup, name));
  const snapshots = all.filter((name) => !kept.includes(name));
  const pruned = { snapshots, objects: 0, bytes: 0 };
  for (const path of snapshots.map((name) => pathOf(backup, name))) {
    pruned.bytes += statSync(path).size;
    rmSync(path);
  }
  await syncSnapshots(backup);
  for await (const { hash, bytes } of unneededObjects(backup, kept)) {
    signal?.throwIfAborted();
    await backup.objects.delete(hash);
    pruned.objects++;
    pruned.bytes += bytes;
    progress?.add({ files: 1, bytes });
  }
  return pruned;
}

/** Objects that no snapshot names. All are read side by side: only a directory is in memory. */
async function* unneededObjects(
  backup: Backup,
  snapshots: readonly string[],
): AsyncGenerator<{ hash: Hash; bytes: number }> {
  await using reading = new AsyncDisposableStack();
  const cursors = snapshots.map((name) => new Cursor(pathOf(backup, name)));
  for (const cursor of cursors) reading.use(cursor);
  const objects = join(backup.directory, "objects");
  for (const fanOut of (await readdir(objects)).sort()) {
    if (!/^[0-9a-f]{2}$/.test(fanOut)) continue;
    const directory = join(objects, fanOut);
    const names = new Set(await readdir(directory));
    for (const cursor of cursors) await cursor.removeFrom(names, fanOut);
    for (const name of names) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      yield { hash: Uint8Array.fromHex(name), bytes: statSync(join(directory, name)).size };
    }
  }
}

/** Reads the objects of a snapshot as far as it is asked to. */
class Cursor implements AsyncDisposable {
  readonly #objects: AsyncGenerator<{ hash: Hash }>;
  #next: string | undefined = "";

  constructor(path: string) {
    this.#objects = neededObjects(path);
  }

  /** Removes the objects up to the end of a directory from its names. */
  async removeFrom(names: Set<string>, fanOut: string): Promise<void> {
    while (this.#next !== undefined && this.#next.slice(0, 2) <= fanOut) {
      names.delete(this.#next);
      const { done, value } = await this.#objects.next();
      const next = done ? undefined : toHex(value.hash);
      assert(next === undefined || next > this.#next, "objects are in the order of their hashes");
      this.#next = next;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#objects.return(undefined);
  }
}
