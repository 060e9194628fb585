/**
 * A directory of backups of one server:
 *
 *   backup.json   whose they are
 *   objects/      as a server's: all snapshots share them
 *   snapshots/    a file for each moment: format.ts
 *   writer.lock   taken by whoever makes a backup
 *   readers.lock  shared by whoever verifies or restores: nothing is deleted meanwhile
 *
 * A snapshot gets its name when it and all its objects are durable, so one that was interrupted
 * leaves objects, which the next does not fetch again, and nothing that could be taken for whole.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";

import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey, toHex, type Hash } from "#core/hash.ts";
import { putGroupCount } from "#core/limits.ts";
import { decodeObject, inspectObject } from "#core/object.ts";
import { lockFile, makeLockFile, shareFile } from "../file-lock.ts";
import { errno } from "../store/disk-error.ts";
import { openDiskStore } from "../store/disk.ts";
import type { ObjectStore } from "../store/store.ts";
import { readBytea, readRows, verifySnapshot } from "./format.ts";

export type Backup = AsyncDisposable & {
  directory: string;
  objects: ObjectStore;
};

/** An object that a snapshot names, and what it takes up. */
export type NamedObject = { hash: Hash; storedSize: number };

const markerName = "backup.json";
const markerTemporaryName = "backup.json.new";
const snapshotsName = "snapshots";
const writerName = "writer.lock";
const readersName = "readers.lock";
const extension = ".pogo-backup";
const temporaryExtension = ".new";
const fanOutOf = (hash: Hash) => toHex(hash.subarray(0, 1));

/**
 * Opens a directory of backups: to be read; or to be written by this process alone, and then one
 * that is empty or not there can be made into one.
 */
export async function openBackup(
  directory: string,
  { create = false }: { create?: boolean } = {},
): Promise<Backup> {
  if (readMarker(directory) === undefined) {
    const own = ["objects", snapshotsName, markerTemporaryName, writerName, readersName];
    if (!create || !listNames(directory).every((name) => own.includes(name))) {
      throw new PogoError("usage", `${directory} holds no backups`, {
        hint: create ? "name an empty directory, or a new one" : "make one: pogo backup DEST",
      });
    }
  }
  await using opening = new AsyncDisposableStack();
  if (create) {
    mkdirSync(join(directory, snapshotsName), { recursive: true, mode: 0o700 });
    opening.use(lockWriter(directory));
    removeTemporary(join(directory, snapshotsName));
  } else {
    opening.use(shareReaders(directory));
  }
  const objects = opening.use(await openDiskStore(join(directory, "objects")));
  const opened = opening.move();
  return { directory, objects, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function lockWriter(directory: string): Disposable {
  const lock = lockFile(join(directory, writerName));
  if (!lock) {
    throw new PogoError("unavailable", `another backup to ${directory} is under way`, {
      hint: "run the command again when that is done",
    });
  }
  // Whoever only reads may be unable to make it.
  makeLockFile(join(directory, readersName));
  return lock;
}

function shareReaders(directory: string): Disposable | undefined {
  const path = join(directory, readersName);
  // Nothing is deleted from a copy without it.
  if (!existsSync(path)) return undefined;
  const lock = shareFile(path);
  if (lock) return lock;
  throw new PogoError("unavailable", `older snapshots are being deleted in ${directory}`, {
    hint: "run the command again when that is done",
  });
}

/** Keeps readers off while something is deleted; nothing if somebody reads. */
export function lockReaders({ directory }: Backup): Disposable | undefined {
  return lockFile(join(directory, readersName));
}

/** Makes the directory a server's, for ever: objects of two could be encrypted differently. */
export function claimBackup({ directory }: Backup, serverId: string): void {
  const server = readMarker(directory);
  if (server === serverId) return;
  if (server !== undefined) {
    throw new PogoError("usage", `${directory} holds the backups of another server`, {
      hint: "name another directory",
    });
  }
  const path = join(directory, markerName);
  const temporary = join(directory, markerTemporaryName);
  writeFileSync(temporary, `${JSON.stringify({ server: serverId })}\n`, { flush: true });
  renameSync(temporary, path);
}

/** Names of the snapshots, the oldest first. */
export function listSnapshots({ directory }: Backup): string[] {
  const names = listNames(join(directory, snapshotsName)).sort();
  return names.flatMap((name) =>
    name.endsWith(extension) ? [name.slice(0, -extension.length)] : [],
  );
}

/** Finds a snapshot, the newest unless it is named. */
export function findSnapshot(backup: Backup, named?: string): { name: string; path: string } {
  const names = listSnapshots(backup);
  const name = named === undefined ? names.at(-1) : names.find((other) => other === named);
  if (name !== undefined) return { name, path: pathOf(backup, name) };
  throw new PogoError("not-found", `no ${named ?? "whole"} snapshot in ${backup.directory}`, {
    hint: names.length === 0 ? "pogo backup DEST" : `there are ${names.join(", ")}`,
  });
}

/** Says where a snapshot is to be written until it is whole. */
export function temporarySnapshot({ directory }: Backup): string {
  const name = `${randomBytes(8).toString("hex")}${temporaryExtension}`;
  return join(directory, snapshotsName, name);
}

/** Gives a snapshot, whole and durable, its name: the moment that it is of. */
export async function nameSnapshot(
  backup: Backup,
  temporary: string,
  takenAt: string,
): Promise<string> {
  // Colons are no part of names everywhere.
  const name = takenAt.replaceAll(":", "-");
  await rename(temporary, pathOf(backup, name));
  await syncSnapshots(backup);
  return name;
}

/** Makes names of snapshots durable, those that are new and those that are gone. */
export async function syncSnapshots({ directory }: Backup): Promise<void> {
  // Windows opens no directories, and NTFS journals names by itself.
  if (process.platform === "win32") return;
  await using snapshots = await open(join(directory, snapshotsName), "r");
  await snapshots.sync();
}

/** Objects that a snapshot needs, in the order of their hashes. */
export async function* neededObjects(path: string): AsyncGenerator<NamedObject> {
  let isMet = false;
  for await (const { table, rows } of readRows(path)) {
    if (table !== "objects") {
      // Of what follows there may be much.
      if (isMet) return;
      continue;
    }
    isMet = true;
    for (const row of rows) {
      const { hash, stored_size, doomed_at } = JSON.parse(row) as Record<string, unknown>;
      // Nobody holds it: it was about to be deleted. Or it has no bytes: it was obliterated.
      if (doomed_at !== null || Number(stored_size) === 0) continue;
      yield { hash: readBytea(hash), storedSize: Number(stored_size) };
    }
  }
}

/** The same, and whether they are there: told by their names alone. */
export async function* lookedUpObjects(
  backup: Backup,
  path: string,
): AsyncGenerator<NamedObject & { isThere: boolean }> {
  let fanOut = "";
  let names = new Set<string>();
  for await (const object of neededObjects(path)) {
    if (fanOutOf(object.hash) !== fanOut) {
      fanOut = fanOutOf(object.hash);
      names = new Set(listNames(join(backup.directory, "objects", fanOut)));
    }
    yield { ...object, isThere: names.has(toHex(object.hash)) };
  }
}

/** Those of them that are not there. */
export async function* missingObjects(backup: Backup, path: string): AsyncGenerator<NamedObject> {
  for await (const { isThere, ...object } of lookedUpObjects(backup, path)) {
    if (!isThere) yield object;
  }
}

/** Gathers objects into as many as are stored together, or fewer: `bytesMax` bounds a page. */
export async function* pages(
  objects: AsyncIterable<NamedObject>,
  bytesMax = Infinity,
): AsyncGenerator<NamedObject[]> {
  let page: NamedObject[] = [];
  let bytes = 0;
  for await (const object of objects) {
    page.push(object);
    bytes += object.storedSize;
    if (page.length < putGroupCount && bytes < bytesMax) continue;
    yield page;
    page = [];
    bytes = 0;
  }
  if (page.length > 0) yield page;
}

/** Refuses what is not the contents that the hash names, as far as it can be seen without keys. */
export function checkContents(hash: Hash, encoded: Uint8Array): void {
  const { codec } = inspectObject(encoded);
  if (codec !== "sealed" && codec !== "chunks") decodeObject(hash, encoded);
}

/** Reads everything; says from time to time what was read, and what is not as it must be. */
export async function* verifyBackup(
  backup: Backup,
): AsyncGenerator<{ objects: number; bytes: number; problems: string[] }> {
  for await (const hash of backup.objects.list()) {
    try {
      const encoded = await backup.objects.get(hash);
      checkContents(hash, encoded);
      yield { objects: 1, bytes: encoded.length, problems: [] };
    } catch (error) {
      yield { objects: 1, bytes: 0, problems: [corruptMessage(error)] };
    }
  }
  for (const name of listSnapshots(backup)) {
    const problems: string[] = [];
    try {
      const path = pathOf(backup, name);
      const lost = new Set((await verifySnapshot(path)).lost.map(hashKey));
      for await (const { hash } of missingObjects(backup, path)) {
        if (!lost.has(hashKey(hash))) problems.push(`${name} lacks object ${toHex(hash)}`);
      }
    } catch (error) {
      problems.push(corruptMessage(error));
    }
    yield { objects: 0, bytes: 0, problems };
  }
}

function corruptMessage(error: unknown): string {
  if (isPogoError(error, "corrupt")) return error.message;
  throw error;
}

/** Says where a snapshot is. */
export function pathOf({ directory }: Backup, name: string): string {
  return join(directory, snapshotsName, `${name}${extension}`);
}

function readMarker(directory: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, markerName), "utf8");
  } catch (error) {
    if (errno(error) === "ENOENT") return undefined;
    throw error;
  }
  const server = /^\{"server":"([0-9a-f-]{36})"\}\s*$/.exec(text)?.[1];
  if (server !== undefined) return server;
  throw new PogoError("corrupt", `${join(directory, markerName)} is damaged`, {
    hint: `delete it: the next backup writes it anew`,
  });
}

function listNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errno(error) === "ENOENT") return [];
    throw error;
  }
}

function removeTemporary(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.endsWith(temporaryExtension)) rmSync(join(directory, name), { force: true });
  }
}
