/** The thorough part of a scan: lists directories and compares what stands in them. */
import { PogoError } from "#core/errors.ts";
import { equalHashes } from "#core/hash.ts";
import { nameBytesMax, pathBytesMax, pathDepthMax } from "#core/limits.ts";
import { foldName, joinPath, nameProblem, symlinkEscapes } from "#core/path.ts";
import type { Entry, FileEntry, SymlinkEntry } from "#core/tree.ts";
import {
  kindOfMode,
  statWords,
  type DirectoryReader,
  type EntryKind,
  type Listing,
} from "#native/directory.ts";
import {
  directoryRow,
  rowEntries,
  type DirectoryRow,
  type Learned,
  type ModifiedFile,
} from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import { addRules, ignoreFiles, judge, noRules } from "./ignore.ts";
import { withoutParent, type IgnoreRules } from "./ignore.ts";
import type { Outline } from "./outline.ts";
import { hashWorkingFile, readLink, readWorkingFile, unreadable } from "./read.ts";
import type { ChangedFile, Difference, Offence, VisitedDirectory } from "./scan.ts";
import { bytesToStat, equalStats, isExecutable, isSettled } from "./stat.ts";
import { statSize, untrustedStat } from "./stat.ts";
import type { Clock, Stat } from "./stat.ts";

/** A directory that differs from the base: what its tree will be made of. */
export type ScanNode = { path: string; entries: NodeEntry[] };
export type NodeEntry = Entry | ChangedFile | { kind: "node"; name: string; node: ScanNode };

export type Visit = {
  workspace: Workspace;
  reader: DirectoryReader;
  outline: Outline;
  clock: () => Clock | undefined;
  modified: ReadonlyMap<string, ModifiedFile>;
  learned: Learned;
  differences: Difference[];
  visited: Map<string, VisitedDirectory>;
  offences: Offence[];
  caseSensitive: boolean;
  /** What the rules ignore is looked at like anything else. */
  includeIgnored: boolean;
  paths: { buffer: Buffer; stats: Uint32Array };
};

/** The ignore rules in a directory, worked out only when something asks. */
type Context = { key: string; resolve: () => { rules: IgnoreRules; isIgnored: boolean } };

const outside: Context = {
  key: noRules.key,
  resolve: () => ({ rules: noRules, isIgnored: false }),
};
// Never part of a snapshot, whatever is in them.
const foreignNames = new Set([".pogo", ".git"]);
// Most names are like this: nothing to fold, nothing to refuse.
const plainName = /^[\w-](?:[\w.-]*[\w-])?$/;

/** Starts a visit. */
export function openVisit(parts: Omit<Visit, "offences" | "paths">): Visit {
  const paths = { buffer: Buffer.allocUnsafeSlow(64 * 1024), stats: new Uint32Array(4096) };
  return { ...parts, offences: [], paths };
}

/** Compares the whole working copy; nothing when it is as the base. */
export function visitRoot(visit: Visit): ScanNode | undefined {
  return visitTracked(visit, "", outside);
}

/** Compares a directory of the base; nothing when it is the same. */
function visitTracked(visit: Visit, path: string, above: Context): ScanNode | undefined {
  const { outline, workspace } = visit;
  const known = outline.rows.get(path);
  const isRecorded = known && outline.recorded.has(path) && known.rulesAbove === above.key;
  if (isRecorded && !visit.includeIgnored) {
    return visitRecorded(visit, path, recordedContext(visit, path, above, known.rules));
  }
  const row = directoryRow(workspace.state, path);
  if (!row) throw new Error(`the base has no directory ${JSON.stringify(path)}`);
  return visitListed(visit, path, row, above);
}

function visitRecorded(visit: Visit, path: string, context: Context): ScanNode | undefined {
  const changed = new Map<string, ScanNode>();
  for (const child of visit.outline.marked.get(path) ?? []) {
    const node = visitTracked(visit, child, context);
    if (node) changed.set(child, node);
  }
  if (changed.size === 0) return undefined;
  const entries = baseEntries(visit, path).flatMap((entry): NodeEntry[] => {
    const node = changed.get(joinPath(path, entry.name));
    return node ? nodeEntries(entry.name, node) : [entry];
  });
  return { path, entries };
}

function baseEntries({ workspace: { state } }: Visit, path: string): Entry[] {
  const row = directoryRow(state, path);
  if (!row) throw new Error(`the base has no directory ${JSON.stringify(path)}`);
  return rowEntries(state, row);
}

// A directory in which nothing is left to track is none.
function nodeEntries(name: string, node: ScanNode): NodeEntry[] {
  return node.entries.length === 0 ? [] : [{ kind: "node", name, node }];
}

function recordedContext(visit: Visit, path: string, above: Context, key: string): Context {
  return context(visit, path, above, key, () => {
    if (key === above.key) return [];
    const files = baseEntries(visit, path).filter(({ kind }) => kind === "file");
    return ignoreFiles.filter((name) => files.some((file) => file.name === name));
  });
}

function context(
  visit: Visit,
  path: string,
  above: Context,
  key: string | undefined,
  names: () => readonly string[],
): Context {
  let resolved: { rules: IgnoreRules; isIgnored: boolean } | undefined;
  const work = () => {
    const { rules, isIgnored } = above.resolve();
    if (isIgnored) return { rules, isIgnored };
    const name = path.slice(path.lastIndexOf("/") + 1);
    const verdict = path === "" ? undefined : judge(rules, path, name, true);
    if (verdict === "ignored") return { rules, isIgnored: true };
    const inherited = verdict === "unignored" ? withoutParent(rules, path) : rules;
    const files = visit.includeIgnored ? [] : names();
    const contents = files.map((file) => readRules(visit, joinPath(path, file)));
    return { rules: addRules(inherited, path, contents), isIgnored: false };
  };
  const resolve = () => (resolved ??= work());
  return { key: key ?? resolve().rules.key, resolve };
}

function readRules({ workspace: { root } }: Visit, path: string): string {
  const { bytes } = readWorkingFile(root, path);
  return new TextDecoder().decode(bytes);
}

/** What is gathered about one directory while it is visited. */
type Place = {
  visit: Visit;
  path: string;
  row: DirectoryRow | undefined;
  context: Context;
  isIgnored: boolean;
  rules: IgnoreRules;
  base: Map<string, { entry: Entry; index: number }>;
  recorded: Stat;
  stats: Stat;
  entries: NodeEntry[];
  isChanged: boolean;
  /** Everything listed is tracked or ignored: the directory need not be listed again. */
  isComplete: boolean;
  /** The same, once what was added is tracked. */
  isCompleteOncePushed: boolean;
};

function visitListed(
  visit: Visit,
  path: string,
  row: DirectoryRow | undefined,
  above: Context,
): ScanNode | undefined {
  const clock = visit.clock();
  const self = statPaths(visit, [path === "" ? "." : path]).slice(0, statWords);
  const listing = listDirectory(visit, path);
  const isNested = path !== "" && listing.some(({ name }) => name === ".pogo");
  if (isNested && !row) return undefined;
  const place = openPlace(visit, path, row, above, listing);
  visitEntries(place, listing);
  if (visitMissing(place)) place.isChanged = true;
  const { entries, isChanged, isComplete, isCompleteOncePushed, stats } = place;
  if (!visit.caseSensitive) checkCollisions(visit, path, entries);
  const isTrusted = clock !== undefined && isSettled(self, clock);
  const keys = { rulesAbove: above.key, rules: place.context.key };
  visit.visited.set(path, { self: isTrusted && isCompleteOncePushed ? self : undefined, ...keys });
  if (row && clock) {
    const kept = isTrusted && isComplete ? self : undefined;
    visit.learned.rows.push({ id: row.id, stats, self: kept, ...keys });
  }
  return isChanged || !row ? { path, entries } : undefined;
}

function openPlace(
  visit: Visit,
  path: string,
  row: DirectoryRow | undefined,
  above: Context,
  listing: Listing,
): Place {
  const names = new Set<string>();
  for (const { name, kind } of listing) {
    if (kind === "file" && ignoreFiles.includes(name)) names.add(name);
  }
  const own = context(visit, path, above, undefined, () =>
    ignoreFiles.filter((name) => names.has(name)),
  );
  const base = new Map<string, { entry: Entry; index: number }>();
  const entries = row ? rowEntries(visit.workspace.state, row) : [];
  for (const [index, entry] of entries.entries()) base.set(entry.name, { entry, index });
  return {
    visit,
    path,
    row,
    context: own,
    ...own.resolve(),
    base,
    recorded: row ? bytesToStat(row.stats) : new Uint32Array(0),
    stats: new Uint32Array(entries.length * statWords),
    entries: [],
    isChanged: false,
    // An ignore file that is not tracked can change without a trace in its directory. What was
    // seen without the rules says nothing of a scan with them.
    isComplete: !visit.includeIgnored && [...names].every((name) => base.has(name)),
    isCompleteOncePushed: !visit.includeIgnored,
  };
}

function visitEntries(place: Place, listing: Listing): void {
  const { visit, path, base } = place;
  const files: { name: string; child: string; kind: EntryKind }[] = [];
  for (const { name, isText, kind } of listing) {
    if (!isText) {
      visitUnnameable(place, name);
      continue;
    }
    if (foreignNames.has(name)) continue;
    const child = joinPath(path, name);
    const known = base.get(name);
    const isDirectory = kind === "directory";
    if (known && (known.entry.kind === "directory") === isDirectory) {
      if (!isDirectory) files.push({ name, child, kind });
      else visitSubdirectory(place, name, child, true);
      continue;
    }
    if (place.isIgnored || judge(place.rules, child, name, isDirectory) === "ignored") {
      if (ignoreFiles.includes(name)) place.isCompleteOncePushed = false;
      continue;
    }
    if (!isDirectory) files.push({ name, child, kind });
    else visitSubdirectory(place, name, child, false);
  }
  const paths = files.map(({ child }) => child);
  const stats = statPaths(visit, paths).slice(0, files.length * statWords);
  for (const [index, { name, child, kind }] of files.entries()) {
    const at = index * statWords;
    if (stats[at] === 0) continue;
    if (kindOfMode(stats[at]!) !== kind) throw changedKind(child);
    if (kind === "file") compareFile(place, name, child, stats, at);
    else if (kind === "symlink") compareLink(place, name, child, stats.slice(at, at + statWords));
    else refuse(place, child, "is a socket, a pipe or a device");
  }
}

// The rules cannot match it as git would, byte by byte; what replaces its bytes is close enough.
function visitUnnameable(place: Place, name: string): void {
  const child = joinPath(place.path, name);
  if (place.isIgnored || judge(place.rules, child, name, false) === "ignored") return;
  refuse(place, child, "has a name that is not valid UTF-8");
}

function visitSubdirectory(place: Place, name: string, child: string, isTracked: boolean): void {
  const { visit, context: above } = place;
  if (isTracked) {
    const node = visitTracked(visit, child, above);
    if (!node) return void keepEntry(place, name);
    place.isChanged = true;
    place.entries.push(...nodeEntries(name, node));
    place.base.delete(name);
    return;
  }
  // What changes below it leaves no trace here: as long as it is not tracked it is looked into.
  place.isComplete = false;
  const node = visitListed(visit, child, undefined, above);
  if (!node || node.entries.length === 0) {
    place.isCompleteOncePushed = false;
    return;
  }
  checkName(place, name, child);
  place.isChanged = true;
  place.entries.push({ kind: "node", name, node });
}

function keepEntry(place: Place, name: string): { entry: Entry; index: number } {
  const known = place.base.get(name)!;
  place.entries.push(known.entry);
  place.base.delete(name);
  return known;
}

function compareFile(
  place: Place,
  name: string,
  path: string,
  stats: Uint32Array,
  at: number,
): void {
  const { visit, base } = place;
  const known = base.get(name);
  const before = known?.entry.kind === "directory" ? undefined : known?.entry;
  const executable = isExecutable(stats[at]!);
  if (known && before?.kind === "file" && before.executable === executable) {
    const isSame = isSameFile(place, path, before, known.index, stats.slice(at, at + statWords));
    if (isSame) return void keepEntry(place, name);
  }
  if (!before) checkName(place, name, path);
  const size = statSize(stats, at);
  const stat = untrustedStat;
  const file: ChangedFile = { kind: "file", name, executable, size, hash: undefined, stat };
  const hashed = visit.learned.modified.get(path) ?? visit.modified.get(path);
  if (hashed && equalStats(hashed.stat, 0, stats, at)) {
    Object.assign(file, { hash: hashed.hash, stat: hashed.stat });
  } else if (before?.kind === "file" && before.size === size) {
    // Only its mode may have changed.
    hashFile(place, path, file);
  }
  addDifference(place, name, path, before, file);
}

/** Compares by stat, else by contents, and records the stat if it can be trusted next time. */
function isSameFile(
  place: Place,
  path: string,
  before: FileEntry,
  index: number,
  stat: Stat,
): boolean {
  const { visit, recorded, stats } = place;
  const at = index * statWords;
  if (equalStats(recorded, at, stat, 0)) {
    stats.set(stat, at);
    return true;
  }
  if (statSize(stat) !== before.size) return false;
  const cached = visit.modified.get(path);
  if (cached && equalStats(cached.stat, 0, stat, 0)) return equalHashes(cached.hash, before.hash);
  const hashed = hashWorkingFile(visit.workspace.root, path);
  const clock = visit.clock();
  const isTrusted = clock !== undefined && isSettled(hashed.stat, clock);
  const isSame = equalHashes(hashed.hash, before.hash) && hashed.executable === before.executable;
  if (isTrusted && isSame) stats.set(hashed.stat, at);
  if (isTrusted && !isSame) visit.learned.modified.set(path, hashed);
  return isSame;
}

function hashFile({ visit }: Place, path: string, file: ChangedFile): void {
  const hashed = hashWorkingFile(visit.workspace.root, path);
  Object.assign(file, hashed);
  const clock = visit.clock();
  if (clock && isSettled(hashed.stat, clock)) visit.learned.modified.set(path, hashed);
}

function compareLink(place: Place, name: string, path: string, stat: Stat): void {
  const { visit, base, recorded, stats } = place;
  const known = base.get(name);
  const before = known?.entry.kind === "directory" ? undefined : known?.entry;
  if (known && before?.kind === "symlink") {
    if (equalStats(recorded, known.index * statWords, stat, 0)) {
      stats.set(stat, known.index * statWords);
      return void keepEntry(place, name);
    }
  }
  const target = readLink(visit.workspace.root, path);
  if (target === undefined) return refuse(place, path, "leads to a name that is not valid UTF-8");
  if (known && before?.kind === "symlink" && before.target === target) {
    const clock = visit.clock();
    if (clock && isSettled(stat, clock)) stats.set(stat, known.index * statWords);
    return void keepEntry(place, name);
  }
  if (symlinkEscapes(path, target)) {
    return refuse(place, path, `leads out of the working copy, to ${JSON.stringify(target)}`);
  }
  if (!before) checkName(place, name, path);
  addDifference(place, name, path, before, { kind: "symlink", name, target });
}

function addDifference(
  place: Place,
  name: string,
  path: string,
  before: Entry | undefined,
  after: ChangedFile | SymlinkEntry,
): void {
  const status = before ? "modified" : "added";
  place.visit.differences.push({ path, status, before, after });
  place.entries.push(after);
  place.isChanged = true;
  if (before) place.base.delete(name);
  else place.isComplete = false;
}

/** Reports what the base has and the disk has not. */
function visitMissing({ visit, path, base }: Place): boolean {
  for (const { entry } of base.values()) reportDeleted(visit, joinPath(path, entry.name), entry);
  return base.size > 0;
}

function reportDeleted(visit: Visit, path: string, entry: Entry): void {
  if (entry.kind !== "directory") {
    visit.differences.push({ path, status: "deleted", before: entry, after: undefined });
    return;
  }
  for (const child of baseEntries(visit, path)) {
    reportDeleted(visit, joinPath(path, child.name), child);
  }
}

function checkName(place: Place, name: string, path: string): void {
  const isLong = name.length * 3 > nameBytesMax || path.length * 3 > pathBytesMax;
  if (isLong && Buffer.byteLength(path) > pathBytesMax) {
    return refuse(place, path, `is longer than ${pathBytesMax} bytes`);
  }
  if (path.length > pathDepthMax && path.split("/").length > pathDepthMax) {
    return refuse(place, path, `is deeper than ${pathDepthMax} directories`);
  }
  if (!isLong && plainName.test(name)) return;
  const problem = nameProblem(name);
  if (problem) refuse(place, path, problem);
}

function checkCollisions(visit: Visit, path: string, entries: readonly NodeEntry[]): void {
  const folded = new Map<string, string>();
  for (const { name } of entries) {
    const fold = plainName.test(name) ? name.toLowerCase() : foldName(name);
    const other = folded.get(fold);
    if (other === undefined) folded.set(fold, name);
    else {
      const problem = `differs from ${JSON.stringify(other)} in case or accents' spelling only`;
      visit.offences.push({ path: joinPath(path, name), problem });
    }
  }
}

function refuse({ visit }: Place, path: string, problem: string): void {
  visit.offences.push({ path, problem });
}

function statPaths(visit: Visit, paths: readonly string[]): Uint32Array {
  const scratch = visit.paths;
  let offset = 0;
  for (const path of paths) {
    const most = offset + path.length * 3 + 1;
    if (scratch.buffer.length < most) {
      scratch.buffer = Buffer.concat([scratch.buffer], most * 2);
    }
    offset += scratch.buffer.write(path, offset);
    scratch.buffer[offset++] = 0;
  }
  if (scratch.stats.length < paths.length * statWords) {
    scratch.stats = new Uint32Array(paths.length * statWords * 2);
  }
  if (paths.length > 0) visit.reader.stat(scratch.buffer, paths.length, scratch.stats);
  return scratch.stats;
}

function listDirectory({ reader }: Visit, path: string): Listing {
  try {
    return reader.list(path === "" ? "." : path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function changedKind(path: string): PogoError {
  return new PogoError("unavailable", `${JSON.stringify(path)} changes while it is being read`, {
    hint: "run the command again when nothing writes to it",
  });
}
