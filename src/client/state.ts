/**
 * What a working copy knows about itself: one SQLite file in its `.pogo`.
 *
 * `meta` holds the binding, the current change, a push that was sent but not answered, and an
 * operation on the files that has begun but not ended. `directories` and `modified`, which speed
 * up scanning, are described in `state-directories.ts`; `operation_*` belong to the journal,
 * `conflict*` to the conflicts of the base and `discards` to what was thrown away.
 *
 * A writer holds the lock (`Workspace.lock`); readers need none. `generation` counts the moves of
 * the base, so that what a reader learned about an older base is not stored beside a newer one.
 */
import { constants, Database, SQLiteError } from "bun:sqlite";
import { statfsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { isPogoError, PogoError } from "#core/errors.ts";
import { fromHex, toHex, type Hash } from "#core/hash.ts";

/** Where a working copy belongs. */
export type Binding = {
  server: string;
  repository: string;
  /** Names that differ in case only may stand in one directory. */
  caseSensitive: boolean;
};

export type ParentChange = { change: string; version: number; description: string; prefix: string };

/** The working copy's change, as last heard from the server. */
export type CurrentChange = {
  name: string;
  /** Version that the files were last in step with; 0 for a draft. */
  version: number;
  /** Root tree of the base: of that version, or of a draft's first parent. */
  tree: Hash;
  parents: ParentChange[];
  description: string;
  prefix: string;
  bookmarks: string[];
  sealed: boolean;
  conflicted: boolean;
  /** Version that the change is at, when others have pushed one since. */
  newestVersion?: number;
};

/** A push that may have been committed without our hearing the answer. */
export type PendingPush = {
  requestId: Uint8Array;
  change: string;
  expectedVersion: number;
  tree: Hash;
  parents: { change: string; version: number }[];
  description: string | undefined;
  child: string;
  rewrite?: boolean;
};

const stateFile = "state.sqlite";

const formatVersion = 1;
// SQLite makes its shared memory in pieces of this size.
const sharedMemoryBytes = 32 * 1024;
const schema = `
  create table meta (key text primary key, value text not null) without rowid;
  create table directories (
    id integer primary key,
    path text not null unique,
    tree blob not null,
    encoded blob not null,
    stats blob not null,
    self blob not null,
    rules_above text not null,
    rules text not null
  );
  create index directories_by_tree on directories (tree);
  create table modified (
    path text primary key, stat blob not null, hash blob not null, size integer not null
  );
  create table operation_trees (hash blob primary key, encoded blob not null);
  create table operation_steps (
    position integer primary key, path text not null, before blob, after blob
  );
  create table conflicts (
    path text not null, is_next integer not null, record text not null,
    primary key (path, is_next)
  ) without rowid;
  create table conflict_objects (hash blob primary key, bytes blob not null);
  create table discards (
    id integer primary key autoincrement, created_at integer not null, change text not null,
    files text not null, kind text not null, reverses integer
  );
`;

/** The open state of one working copy. */
export class State implements Disposable {
  readonly database: Database;
  readonly file: string;
  readonly isReadOnly: boolean;
  readonly #whyReadOnly: unknown;

  private constructor(database: Database, file: string, whyReadOnly?: unknown) {
    this.database = database;
    this.file = file;
    this.isReadOnly = whyReadOnly !== undefined;
    this.#whyReadOnly = whyReadOnly;
  }

  /** Makes the state of a new working copy. */
  static create(directory: string, binding: Binding, current: CurrentChange): State {
    const file = join(directory, stateFile);
    const database = new Database(file, { create: true, readwrite: true, strict: true });
    const state = new State(database, file);
    state.guard(() => {
      // A working copy that is not there yet cannot be damaged.
      prepare(database);
      database.run("pragma synchronous = off");
      database.transaction(() => {
        database.run(schema);
        state.set("format", formatVersion);
        state.set("generation", 0);
        state.setBinding(binding);
        state.setCurrent(current);
      })();
      database.run("pragma synchronous = full");
    });
    return state;
  }

  /** Opens the state; a directory that cannot be written to is opened for reading. */
  static open(directory: string): State {
    const file = join(directory, stateFile);
    if (!isStanding(file)) throw damaged(file, "it is missing");
    const state = openFile(file, (database, why) => new State(database, file, why));
    try {
      const format = state.get("format");
      if (typeof format === "number" && format > formatVersion) {
        throw new PogoError("usage", `${file} was written by a later version of pogo`, {
          hint: "update pogo",
        });
      }
      if (format !== formatVersion) throw damaged(file, "its format is unknown");
      return state;
    } catch (error) {
      state[Symbol.dispose]();
      throw error;
    }
  }

  get binding(): Binding {
    return this.require("binding") as Binding;
  }

  setBinding(binding: Binding): void {
    this.set("binding", binding);
  }

  get current(): CurrentChange {
    return decodeHashes(this.require("current")) as CurrentChange;
  }

  /** Stores what the server said about the change; the base moves by `moveBase` only. */
  setCurrent(current: CurrentChange): void {
    this.set("current", encodeHashes(current));
  }

  get pendingPush(): PendingPush | undefined {
    return decodeHashes(this.get("pending")) as PendingPush | undefined;
  }

  setPendingPush(pending: PendingPush | undefined): void {
    this.set("pending", encodeHashes(pending));
  }

  get generation(): number {
    return this.require("generation") as number;
  }

  /** Reads a value of `meta`, or nothing. */
  get(key: string): unknown {
    return this.guard(() => {
      const row = this.database
        .query<{ value: string }, [string]>("select value from meta where key = ?")
        .get(key);
      return row === null ? undefined : JSON.parse(row.value);
    });
  }

  /** Stores a value of `meta`; `undefined` removes it. */
  set(key: string, value: unknown): void {
    this.guard(() => {
      if (value === undefined) return this.database.run("delete from meta where key = ?", [key]);
      const text = JSON.stringify(value);
      return this.database.run("insert or replace into meta values (?, ?)", [key, text]);
    });
  }

  /** Runs statements as one transaction that writes. */
  transaction<T>(body: () => T): T {
    return this.guard(() => this.database.transaction(body).immediate());
  }

  /** Runs statements and says of a damaged file which one it is. */
  guard<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw explain(error, this.file, this.#whyReadOnly);
    }
  }

  [Symbol.dispose](): void {
    this.database.close();
  }

  private require(key: string): unknown {
    const value = this.get(key);
    if (value === undefined) throw damaged(this.file, `it has no ${key}`);
    return value;
  }
}

/** An error that names the damaged file and how to go on without losing work. */
export function damaged(file: string, what: string, cause?: unknown): PogoError {
  return new PogoError("corrupt", `${file} is damaged: ${what}`, {
    cause,
    hint:
      "your files are untouched: clone the repository into a new directory, " +
      "copy what you changed into it, and push from there",
  });
}

function isStanding(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (cause) {
    throw new PogoError("denied", `cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

function openFile<T>(file: string, make: (database: Database, whyReadOnly: unknown) => T): T {
  const attempts = [
    { name: file, flags: constants.SQLITE_OPEN_READWRITE, isReadOnly: false },
    { name: file, flags: constants.SQLITE_OPEN_READONLY, isReadOnly: true },
    // In a directory where SQLite cannot make its shared memory, the file cannot change either.
    // But this ignores what a killed command left beside the file: see `refuseUnmerged`.
    {
      name: `file:${encodeURI(file).replaceAll("?", "%3f").replaceAll("#", "%23")}?immutable=1`,
      flags: constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
      isReadOnly: true,
    },
  ];
  let first: unknown;
  for (const { name, flags, isReadOnly } of attempts) {
    let database: Database | undefined;
    if (name !== file) refuseUnmerged(file);
    try {
      database = new Database(name, flags);
      if (!isReadOnly) prepare(database);
      database.query("select value from meta where key = 'format'").get();
      return make(database, first);
    } catch (error) {
      database?.close();
      first ??= error;
      const code = (error as { code?: string }).code ?? "";
      if (!/^SQLITE_(READONLY|CANTOPEN|IOERR|PERM)/.test(code)) break;
    }
  }
  throw explain(first, file);
}

/**
 * Refuses a file that is older than what was last written: beside it lies a log that the next
 * writer would merge. Without shared memory nobody can read it.
 */
function refuseUnmerged(file: string): void {
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
  if (!log?.size) return;
  const directory = dirname(dirname(file));
  throw new PogoError("denied", `cannot read ${file}: what was last written is in ${file}-wal`, {
    hint: `make ${dirname(file)} writable, or copy ${directory} to where you can write`,
  });
}

function prepare(database: Database): void {
  database.run("pragma busy_timeout = 5000");
  database.run("pragma journal_mode = wal");
  database.run("pragma synchronous = full");
}

function explain(refusal: unknown, file: string, whyReadOnly?: unknown): unknown {
  if (isPogoError(refusal)) return refusal;
  const isReadOnly = refusal instanceof SQLiteError && refusal.code?.startsWith("SQLITE_READONLY");
  // What could be opened for reading only, for want of space perhaps, refuses for that reason.
  const error = isReadOnly ? (whyReadOnly ?? refusal) : refusal;
  if (error instanceof SyntaxError) return damaged(file, "a value is not JSON", error);
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? "";
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code) || /no such (table|column)/.test(error.message)) {
    return damaged(file, error.message, error);
  }
  if (code.startsWith("SQLITE_FULL") || (code.startsWith("SQLITE_IOERR") && isFull(file))) {
    return new PogoError("unavailable", `no space left to write ${file}`, {
      cause: error,
      hint: "free some space, then run the command again",
    });
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)/.test(code)) {
    return new PogoError("denied", `cannot write ${file}: ${error.message}`, { cause: error });
  }
  if (/^SQLITE_(BUSY|LOCKED|IOERR)/.test(code)) {
    return new PogoError("unavailable", `cannot use ${file}: ${error.message}`, { cause: error });
  }
  return error;
}

function isFull(file: string): boolean {
  const { bavail, bsize } = statfsSync(dirname(file));
  return bavail * bsize < sharedMemoryBytes;
}

/** Makes a value JSON: bytes stand in it as { "$": hex }. */
export function encodeHashes(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $: toHex(value) };
  if (Array.isArray(value)) return value.map(encodeHashes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encodeHashes(item)]));
}

/** Undoes `encodeHashes`. */
export function decodeHashes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeHashes);
  if (typeof value !== "object" || value === null) return value;
  const bytes = (value as { $?: unknown }).$;
  if (typeof bytes === "string") {
    return bytes.length === 64 ? fromHex(bytes) : Uint8Array.fromHex(bytes);
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decodeHashes(item)]));
}
