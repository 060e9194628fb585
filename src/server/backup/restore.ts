/**
 * Makes a server's data from a backup: objects first, then all rows in one transaction. So a
 * database is empty or whole at every moment, and what was interrupted can be run again.
 */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";

import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey, toHex, type Hash } from "#core/hash.ts";
import { putGroupBytes } from "#core/limits.ts";
import { isUsed, usedDatabase, writeMoment } from "../db/dump.ts";
import { transaction } from "../db/connect.ts";
import { checkMigration } from "../db/migrate.ts";
import type { WrappedKey } from "../db/object-keys.ts";
import { openDatabase } from "../db/open.ts";
import { unwrapKeys } from "../object-keys.ts";
import { openStored, type DataKeys } from "../store/encrypted.ts";
import { inLanes } from "../store/lanes.ts";
import { locateObjects, type ObjectsOptions } from "../store/location.ts";
import { openStore } from "../store/open.ts";
import type { ObjectStore, StoredObject } from "../store/store.ts";
import {
  checkContents,
  findSnapshot,
  neededObjects,
  openBackup,
  pages,
  type Backup,
} from "./directory.ts";
import { readBytea, readHead, readRows, verifySnapshot } from "./format.ts";
import { beginRestoring, endRestoring, wasRestoring } from "./restoring.ts";

export type RestoreOptions = ObjectsOptions & {
  /** The directory of backups, and which snapshot in it if not the newest. */
  source: string;
  snapshot?: string | undefined;
  databaseUrl?: string | undefined;
  /** The operator's keys, if objects are encrypted. */
  keys?: string | undefined;
  /** Restores all else when objects of the backup are damaged. */
  skipDamaged?: boolean;
  signal?: AbortSignal | undefined;
  progress?: { add(amount: { files: number; bytes: number }): void };
};

export type Restored = {
  snapshot: string;
  objects: number;
  bytes: number;
  /** Objects that count as damaged now. */
  lost: Hash[];
};

const lanesMax = 4;
const reportedMax = 3;

/** Restores a backup where nothing is yet. All of it has been verified when this resolves. */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const dataDirectory = resolve(options.dataDirectory);
  await using closing = new AsyncDisposableStack();
  const backup = closing.use(await openBackup(resolve(options.source)));
  const { name, path } = findSnapshot(backup, options.snapshot);
  const { lost } = await verifySnapshot(path);
  const head = await readHead(path);
  head.migrations.forEach(checkMigration);
  const keys = await unwrapKeys(await readKeys(path), options.keys);
  const sql = await openDatabase({ ...options, dataDirectory }, closing);
  const location = locateObjects(options);
  const restoring = { snapshot: name, objects: JSON.stringify(location) };
  const isAgain = wasRestoring(dataDirectory, restoring);
  // Rows come last and all at once: if they are there, only the end was not noted.
  const isDone = await isUsed(sql);
  if (isDone && !isAgain) throw usedDatabase();
  const cache = { directory: "", bytesMax: 0 };
  const { stored } = await openStore({ location, cache, keys: undefined });
  closing.use(stored);
  if (!isAgain) await refuseUsed(stored);
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  beginRestoring(dataDirectory, restoring);
  const copied = await copyObjects({ backup, stored, keys }, path, lost, options);
  if (copied.damaged.length > 0 && !options.skipDamaged) throw damagedBackup(copied.damaged);
  const allLost = [...lost, ...copied.damaged];
  if (!isDone) await transaction(sql, (tx) => writeMoment(tx, head, readRows(path), allLost));
  endRestoring(dataDirectory);
  return { snapshot: name, objects: copied.objects, bytes: copied.bytes, lost: allLost };
}

async function copyObjects(
  parts: { backup: Backup; stored: ObjectStore; keys: DataKeys | undefined },
  path: string,
  lost: readonly Hash[],
  { signal, progress }: RestoreOptions,
): Promise<{ objects: number; bytes: number; damaged: Hash[] }> {
  const { backup, stored, keys } = parts;
  const done = { objects: 0, bytes: 0, damaged: [] as Hash[] };
  const known = new Set(lost.map(hashKey));
  // One group is made durable while the next is read.
  let storing = Promise.resolve();
  for await (const page of pages(neededObjects(path), putGroupBytes)) {
    signal?.throwIfAborted();
    const group: StoredObject[] = [];
    await inLanes(page, lanesMax, async ({ hash }) => {
      if (known.has(hashKey(hash))) return;
      const encoded = await readObject(backup, keys, hash);
      if (encoded) group.push({ hash, encoded });
      else done.damaged.push(hash);
    });
    await storing;
    storing = stored.putAll(group);
    // Whoever waits for it next is told of the failure.
    storing.catch(() => {});
    const bytes = group.reduce((sum, { encoded }) => sum + encoded.length, 0);
    done.objects += group.length;
    done.bytes += bytes;
    progress?.add({ files: group.length, bytes });
  }
  await storing;
  return done;
}

/** Reads an object that is to be stored as it is; nothing when it is gone or damaged. */
async function readObject(
  { objects }: Backup,
  keys: DataKeys | undefined,
  hash: Hash,
): Promise<Uint8Array | undefined> {
  try {
    const encoded = await objects.get(hash);
    checkContents(hash, openStored(keys, hash, encoded));
    return encoded;
  } catch (error) {
    if (isPogoError(error, "corrupt") || isPogoError(error, "not-found")) return undefined;
    throw error;
  }
}

async function readKeys(path: string): Promise<WrappedKey[]> {
  const keys: WrappedKey[] = [];
  for await (const { rows } of readRows(path, "object_keys")) {
    for (const row of rows) {
      const { number, key_id, salt, wrapped } = JSON.parse(row) as Record<string, unknown>;
      keys.push({
        number: Number(number),
        keyId: String(key_id),
        salt: readBytea(salt),
        wrapped: readBytea(wrapped),
      });
    }
  }
  return keys;
}

/** What is there may be another server's, and this one would collect it. */
async function refuseUsed(stored: ObjectStore): Promise<void> {
  for await (const _ of stored.list()) {
    throw new PogoError("already-exists", "there are objects already where they are to go", {
      hint: "restore into an empty place: another --data DIR, or --objects WHERE",
    });
  }
}

function damagedBackup(damaged: readonly Hash[]): PogoError {
  const named = damaged.slice(0, reportedMax).map(toHex).join(", ");
  const more = damaged.length > reportedMax ? ", …" : "";
  const what = damaged.length === 1 ? "an object" : `${damaged.length} objects`;
  return new PogoError("corrupt", `the backup has lost ${what}: ${named}${more}`, {
    hint: "all else is restored with --skip-damaged; pogo push --repair may bring them back",
  });
}
