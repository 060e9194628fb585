/**
 * How conflicts of the base stand in the working copy. A text has markers:
 *
 *   NAME               both sides in one file, between markers that name their changes
 *
 * Anything else is one file, link or directory per side, and nothing stands at NAME itself:
 *
 *   NAME.~CHANGE~      what the change, or `side-1`, has
 *
 * What stands as it was written is the conflict. Taking the markers away, or putting something at
 * NAME, resolves it; so does removing all sides. A side that is a directory may hold conflicts:
 * they stand alike below it, and once it is put at NAME they are conflicts of the working copy,
 * which the base does not have until they are pushed.
 */
import { lstatSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { equalHashes, type Hash } from "#core/hash.ts";
import { parentPath } from "#core/path.ts";
import { equalEntries, type ConflictEntry, type FileEntry, type SymlinkEntry } from "#core/tree.ts";
import { mayBeOfSize } from "#core/placeholder.ts";
import { baseEntry } from "../state-directories.ts";
import { decodeHashes, encodeHashes, type State } from "../state.ts";
import type { Workspace } from "../workspace.ts";
import { hashWorkingFile, readLink } from "./read.ts";
import type { ObjectSource } from "./stage.ts";

export type ConflictRecord = {
  path: string;
  entry: ConflictEntry;
  /** What each side is called. */
  names: string[];
  /** What was written for it. */
  files: { path: string; entry: FileEntry | SymlinkEntry }[];
  /** Names next to it that its sides have. */
  standIns: string[];
  /** How long the markers are, if it is one text. */
  markerLength?: number;
};

/** Conflicts by path, and the contents that only this working copy has, encoded. */
export type RenderedConflicts = {
  records: Map<string, ConflictRecord>;
  objects: Map<string, { hash: Hash; bytes: Uint8Array }>;
};

/** No conflicts. */
export const noConflicts: RenderedConflicts = { records: new Map(), objects: new Map() };

/** How the conflicts of the base stand. */
export function baseConflicts(state: State): Map<string, ConflictRecord> {
  const query = state.database.query<{ record: string }, []>(
    "select record from conflicts where is_next = 0",
  );
  const rows = state.guard(() => query.all());
  const records = rows.map(({ record }) => readRecord(record));
  return new Map(records.map((record) => [record.path, record]));
}

/** Reads a record; a side that is absent was written as null. */
function readRecord(text: string): ConflictRecord {
  const record = decodeHashes(JSON.parse(text)) as ConflictRecord;
  const { sides, bases } = record.entry;
  const entry = {
    ...record.entry,
    sides: sides.map((side) => side ?? undefined),
    bases: bases.map((base) => base ?? undefined),
  };
  return { ...record, entry };
}

/** Writes down how conflicts will stand once the operation under way has ended. */
export function saveNextConflicts(state: State, { records, objects }: RenderedConflicts): void {
  const { database } = state;
  state.transaction(() => {
    database.run("delete from conflicts where is_next = 1");
    const add = database.query("insert into conflicts values (?, 1, ?)");
    for (const [path, record] of records) add.run(path, JSON.stringify(encodeHashes(record)));
    const addObject = database.query("insert or replace into conflict_objects values (?, ?)");
    for (const { hash, bytes } of objects.values()) addObject.run(hash, bytes);
  });
}

/** Writes down conflicts that come into the working copy with what resolved another one. */
export function addConflicts(state: State, { records, objects }: RenderedConflicts): void {
  const { database } = state;
  state.transaction(() => {
    const add = database.query("insert or replace into conflicts values (?, 0, ?)");
    for (const [path, record] of records) add.run(path, JSON.stringify(encodeHashes(record)));
    const addObject = database.query("insert or replace into conflict_objects values (?, ?)");
    for (const { hash, bytes } of objects.values()) addObject.run(hash, bytes);
  });
}

/** Makes what was written down true; to be called in the transaction that ends the operation. */
export function promoteConflicts({ database }: State): void {
  database.run("delete from conflicts where is_next = 0");
  database.run("update conflicts set is_next = 0");
  database.run("delete from conflict_objects where not exists (select 1 from conflicts)");
}

/** The source, and before it the contents that were made here. */
export function withConflictObjects(state: State, fetch: ObjectSource): ObjectSource {
  const query = state.database.query<{ bytes: Uint8Array }, [Hash]>(
    "select bytes from conflict_objects where hash = ?",
  );
  return async function* (wanted) {
    const elsewhere = [];
    for (const object of wanted) {
      const bytes = state.guard(() => query.get(object.hash)?.bytes);
      if (bytes) yield { hash: object.hash, bytes };
      else elsewhere.push(object);
    }
    if (elsewhere.length > 0) yield* fetch(elsewhere);
  };
}

/**
 * Forgets the conflicts that the base does not have any more, and removes their sides, but for
 * those that somebody wrote to.
 */
export function pruneConflicts(
  { root, state }: Workspace,
  isWanted: (path: string) => boolean = () => true,
): void {
  const gone = [...baseConflicts(state).values()].filter(({ path, entry }) => {
    if (!isWanted(path)) return false;
    const found = baseEntry(state, path);
    return !found || !equalEntries(found, entry);
  });
  for (const record of gone) {
    removeSides(root, record);
    state.guard(() => state.database.run("delete from conflicts where path = ?", [record.path]));
  }
}

/** Removes what stands next to the path of a conflict, but for what somebody wrote to. */
export function removeSides(root: string, { path, files }: ConflictRecord): void {
  const directories = new Set<string>();
  for (const file of files) {
    if (file.path === path || !standsAs(root, file)) continue;
    rmSync(join(root, file.path));
    for (let above = parentPath(file.path); above !== parentPath(path); above = parentPath(above)) {
      directories.add(above);
    }
  }
  // Of a side that was a directory nothing is to be left.
  for (const directory of [...directories].sort((a, b) => b.length - a.length)) {
    try {
      rmdirSync(join(root, directory));
    } catch {
      // Somebody put something there.
    }
  }
}

/** Tells whether a file stands as it was written. */
function standsAs(root: string, { path, entry }: ConflictRecord["files"][number]): boolean {
  const stat = lstatSync(join(root, path), { throwIfNoEntry: false });
  if (entry.kind === "symlink") {
    return stat?.isSymbolicLink() === true && readLink(root, path) === entry.target;
  }
  if (!stat?.isFile() || !mayBeOfSize(stat.size, entry)) return false;
  return equalHashes(hashWorkingFile(root, path).hash, entry.hash);
}
