/**
 * One row for each directory of the base: its tree, and stats that say which files are as there.
 *
 *   encoded      the tree as `encodeTree` wrote it; its hash is `tree`
 *   stats        `statWords` words for each entry in tree order: "when the stat is exactly this,
 *                the contents are the entry's"; zeros for directories and for what is not known
 *   self         stat of the directory when it was last listed and held nothing but its entries
 *                and ignored ones, so that it need not be listed again; or empty
 *   rules_above, rules   keys of the ignore rules that held then: those of the directory above,
 *                and those with its own ignore files
 *
 * `modified` holds what files that differ from the base were last hashed to.
 */
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, type Hash } from "#core/hash.ts";
import { baseName, joinPath, parentPath } from "#core/path.ts";
import { emptyTreeHash, equalEntries, verifyTree, type Entry } from "#core/tree.ts";
import type { FileEntry } from "#core/tree.ts";
import { statWords } from "#native/directory.ts";
import { damaged, type CurrentChange, type State } from "./state.ts";
import { bytesToStat, statToBytes, type Stat } from "./working-copy/stat.ts";

export type DirectoryRow = {
  id: number;
  path: string;
  tree: Hash;
  encoded: Uint8Array;
  stats: Uint8Array;
  self: Uint8Array;
  rulesAbove: string;
  rules: string;
};

/** A file that differs from the base, as it was last hashed. */
export type ModifiedFile = { stat: Stat; hash: Hash; size: number };

/** What a scan or a checkout knows of the files below a new base. */
export type KnownStats = {
  file(path: string, entry: Entry): Stat | undefined;
  /** `self`, `rules_above` and `rules` of a directory that holds nothing else. */
  directory(path: string): { self: Stat; rulesAbove: string; rules: string } | undefined;
};

/** Finds encoded trees by hash. */
export type TreeSource = (hash: Hash) => Uint8Array | undefined;

const columns = "id, path, tree, encoded, stats, self, rules_above as rulesAbove, rules";

/** Reads one directory of the base. */
export function directoryRow(state: State, path: string): DirectoryRow | undefined {
  return state.guard(() => {
    const query = state.database.query<DirectoryRow, [string]>(
      `select ${columns} from directories where path = ?`,
    );
    return query.get(path) ?? undefined;
  });
}

/** Entries of a directory of the base. */
export function rowEntries(state: State, row: DirectoryRow): Entry[] {
  try {
    const entries = verifyTree(row.tree, row.encoded);
    if (row.stats.length === entries.length * statWords * 4) return entries;
  } catch (cause) {
    throw damaged(state.file, `directory ${JSON.stringify(row.path)} of the base`, cause);
  }
  throw damaged(state.file, `stats of the directory ${JSON.stringify(row.path)}`);
}

/** Finds what stands at a path of the base. */
export function baseEntry(state: State, path: string): Entry | undefined {
  const above = directoryRow(state, parentPath(path));
  const name = baseName(path);
  return above && rowEntries(state, above).find((entry) => entry.name === name);
}

/** All files of the base. */
export function* baseFiles(state: State): Generator<{ path: string; entry: FileEntry }> {
  for (const { path } of directoryOutline(state)) {
    const row = directoryRow(state, path);
    for (const entry of row ? rowEntries(state, row) : []) {
      if (entry.kind === "file") yield { path: joinPath(path, entry.name), entry };
    }
  }
}

/** Finds the stat that a file of the base has while it is unchanged, where that is known. */
export function recordedStats(state: State): (path: string) => Stat | undefined {
  let last: { directory: string; stats: Map<string, Stat> } | undefined;
  return (path) => {
    const directory = parentPath(path);
    if (last?.directory !== directory) {
      const row = directoryRow(state, directory);
      const recorded = row ? bytesToStat(row.stats) : new Uint32Array(0);
      const entries = row ? rowEntries(state, row) : [];
      const stats = new Map(
        entries.map((entry, index) => [
          entry.name,
          recorded.subarray(index * statWords, (index + 1) * statWords),
        ]),
      );
      last = { directory, stats };
    }
    return last.stats.get(baseName(path));
  };
}

/** Finds a tree that stands anywhere in the base. */
export function baseTree(state: State, hash: Hash): Uint8Array | undefined {
  return state.guard(() => {
    const row = state.database
      .query<{ encoded: Uint8Array }, [Hash]>(
        "select encoded from directories where tree = ? limit 1",
      )
      .get(hash);
    return row?.encoded;
  });
}

/** Of a directory of the base, what tells whether to look at it. */
export type OutlineRow = { id: number; path: string; rulesAbove: string; rules: string };

/** All directories of the base. */
export function directoryOutline(state: State): OutlineRow[] {
  type Values = [id: number, path: string, rulesAbove: string, rules: string];
  const query = state.database.query<OutlineRow, []>(
    "select id, path, rules_above, rules from directories",
  );
  const rows = state.guard(() => query.values()) as unknown as Values[];
  return rows.map(([id, path, rulesAbove, rules]) => ({ id, path, rulesAbove, rules }));
}

/** Highest id of a directory of the base. */
export function lastDirectoryId(state: State): number {
  const query = state.database.query<{ id: number | null }, []>(
    "select max(id) as id from directories",
  );
  return state.guard(() => query.get()?.id ?? 0);
}

/** All files that differ from the base and have been hashed. */
export function modifiedFiles(state: State): Map<string, ModifiedFile> {
  type Row = { path: string; stat: Uint8Array; hash: Hash; size: number };
  const rows = state.guard(() =>
    state.database.query<Row, []>("select path, stat, hash, size from modified").all(),
  );
  return new Map(
    rows.map(({ path, stat, hash, size }) => [path, { stat: bytesToStat(stat), hash, size }]),
  );
}

/** What a scan learned and the next one can use. */
export type Learned = {
  rows: { id: number; stats: Stat; self: Stat | undefined; rulesAbove: string; rules: string }[];
  modified: Map<string, ModifiedFile>;
  forgotten: string[];
};

/**
 * Stores what a scan learned, if the base is still the one that it saw. Never fails and hardly
 * waits: the next scan can learn it again.
 */
export function saveLearned(state: State, learned: Learned, generation: number): void {
  const { rows, modified, forgotten } = learned;
  if (state.isReadOnly || rows.length + modified.size + forgotten.length === 0) return;
  const { database } = state;
  try {
    database.run("pragma busy_timeout = 20");
    database.run("pragma synchronous = normal");
    database
      .transaction(() => {
        if (state.generation !== generation) return;
        const update = database.query(
          "update directories set stats = ?, self = ?, rules_above = ?, rules = ? where id = ?",
        );
        for (const { id, stats, self, rulesAbove, rules } of rows) {
          const selfBytes = self ? statToBytes(self) : new Uint8Array(0);
          update.run(statToBytes(stats), selfBytes, rulesAbove, rules, id);
        }
        const remove = database.query("delete from modified where path = ?");
        for (const path of forgotten) remove.run(path);
        putModified(state, modified);
      })
      .immediate();
  } catch {
    // Another command is writing, or the disk is full: nothing that is not known again soon.
  } finally {
    try {
      database.run("pragma synchronous = full");
      database.run("pragma busy_timeout = 5000");
    } catch {
      // As above.
    }
  }
}

// Records what files that differ from the base were hashed to.
function putModified(state: State, modified: ReadonlyMap<string, ModifiedFile>): void {
  const insert = state.database.query("insert or replace into modified values (?, ?, ?, ?)");
  for (const [path, { stat, hash, size }] of modified) {
    insert.run(path, statToBytes(stat), hash, size);
  }
}

/**
 * Makes another tree the base, with what is known of the files, and stores the change that it
 * belongs to, in one transaction. Directories that are the same stay as they are.
 */
export function moveBase(
  state: State,
  current: CurrentChange,
  trees: TreeSource,
  known: Partial<KnownStats> = {},
  alongside: () => void = () => {},
): void {
  state.transaction(() => {
    const moving = { state, trees, known, modified: modifiedFiles(state), removed: [], added: [] };
    collectMoves(moving, "", current.tree);
    applyMoves(moving);
    state.setCurrent(current);
    state.set("generation", state.generation + 1);
    alongside();
  });
}

type NewRow = Omit<DirectoryRow, "id">;
type Moving = {
  state: State;
  trees: TreeSource;
  known: Partial<KnownStats>;
  modified: Map<string, ModifiedFile>;
  removed: string[];
  added: NewRow[];
};

function collectMoves(moving: Moving, path: string, tree: Hash): void {
  const { state } = moving;
  const old = directoryRow(state, path);
  if (old && equalHashes(old.tree, tree)) return;
  const encoded = findTree(moving, tree);
  const entries = verifyTree(tree, encoded);
  const oldEntries = old ? rowEntries(state, old) : [];
  const oldStats = old ? bytesToStat(old.stats) : new Uint32Array(0);
  const oldIndex = new Map(oldEntries.map((entry, index) => [entry.name, index]));
  const stats = new Uint32Array(entries.length * statWords);
  for (const [index, entry] of entries.entries()) {
    const child = joinPath(path, entry.name);
    const at = oldIndex.get(entry.name);
    if (entry.kind === "directory") {
      if (at !== undefined && oldEntries[at]?.kind === "directory") oldIndex.delete(entry.name);
      collectMoves(moving, child, entry.hash);
      continue;
    }
    let stat = moving.known.file?.(child, entry) ?? modifiedStat(moving, child, entry);
    if (!stat && at !== undefined && equalEntries(oldEntries[at] as Entry, entry)) {
      stat = oldStats.subarray(at * statWords, (at + 1) * statWords);
    }
    if (stat) stats.set(stat, index * statWords);
  }
  for (const [name, index] of oldIndex) {
    if (oldEntries[index]?.kind === "directory") moving.removed.push(joinPath(path, name));
  }
  const self = moving.known.directory?.(path);
  moving.added.push({
    path,
    tree,
    encoded,
    stats: statToBytes(stats),
    self: self ? statToBytes(self.self) : new Uint8Array(0),
    rulesAbove: self?.rulesAbove ?? "",
    rules: self?.rules ?? "",
  });
}

function findTree({ state, trees }: Moving, hash: Hash): Uint8Array {
  const encoded = trees(hash) ?? baseTree(state, hash);
  if (encoded) return encoded;
  if (equalHashes(hash, emptyTreeHash)) return new Uint8Array(0);
  throw new PogoError("corrupt", "a tree of the new base is missing");
}

function modifiedStat({ modified }: Moving, path: string, entry: Entry): Stat | undefined {
  const file = modified.get(path);
  if (!file || entry.kind !== "file" || hashKey(file.hash) !== hashKey(entry.hash))
    return undefined;
  return (((file.stat[0] ?? 0) & 0o111) !== 0) === entry.executable ? file.stat : undefined;
}

function applyMoves({ state, removed, added }: Moving): void {
  const { database } = state;
  // Everything below a directory: "0" is the character after "/".
  const remove = database.query(
    "delete from directories where path = ?1 or (path > ?2 and path < ?3)",
  );
  for (const path of removed) remove.run(path, `${path}/`, `${path}0`);
  const insert = database.query(
    `insert into directories (path, tree, encoded, stats, self, rules_above, rules)
     values (?, ?, ?, ?, ?, ?, ?)
     on conflict (path) do update set tree = excluded.tree, encoded = excluded.encoded,
       stats = excluded.stats, self = excluded.self, rules_above = excluded.rules_above,
       rules = excluded.rules`,
  );
  // Parents last, so that ids follow the paths once reversed.
  for (const row of added.reverse()) {
    const { path, tree, encoded, stats, self, rulesAbove, rules } = row;
    insert.run(path, tree, encoded, stats, self, rulesAbove, rules);
  }
}
