/** The thorough part of a scan: lists directories and compares what stands in them. */
import { PogoError } from "#core/errors.ts";
import { foldName, joinPath } from "#core/path.ts";
import { compareNames, type Entry } from "#core/tree.ts";
import { kindOfMode, statWords, type EntryKind, type Listing } from "#native/directory.ts";
import { directoryRow, rowEntries, type DirectoryRow } from "../state-directories.ts";
import { compareFile, compareLink } from "./compare-file.ts";
import { isStillConflict, keepNewConflicts } from "./compare-conflict.ts";
import { baseConflicts } from "./conflict-records.ts";
import { ignoreFiles, judge } from "./ignore.ts";
import { checkName, keepEntry, plainName, refuse } from "./place.ts";
import type { NodeEntry, Place, ScanNode, Visit } from "./place.ts";
import { unreadable } from "./read.ts";
import { baseEntries, context, outside, recordedContext, type Context } from "./rules-context.ts";
import { bytesToStat, isSettled } from "./stat.ts";

// Never part of a snapshot, whatever is in them.
const foreignNames = new Set([".pogo", ".git"]);
/** Starts a visit. */
export function openVisit(
  parts: Omit<Visit, "offences" | "paths" | "conflicts" | "standIns">,
): Visit {
  const conflicts = baseConflicts(parts.workspace.state);
  const standIns = new Set([...conflicts.values()].flatMap((record) => record.standIns));
  const paths = { buffer: Buffer.allocUnsafeSlow(64 * 1024), stats: new Uint32Array(4096) };
  return { ...parts, conflicts, standIns, offences: [], paths };
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
    return visitRecorded(visit, path, recordedContext(visit.workspace, path, above, known.rules));
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
  const entries = baseEntries(visit.workspace, path).flatMap((entry): NodeEntry[] => {
    const node = changed.get(joinPath(path, entry.name));
    return node ? nodeEntries(entry.name, node) : [entry];
  });
  return { path, entries };
}

// A directory in which nothing is left to track is none.
function nodeEntries(name: string, node: ScanNode): NodeEntry[] {
  return node.entries.length === 0 ? [] : [{ kind: "node", name, node }];
}

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
  keepNewConflicts(place);
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
  const own = context(visit.workspace, path, above, undefined, () =>
    visit.includeIgnored ? [] : ignoreFiles.filter((name) => names.has(name)),
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
    if (visit.standIns.has(child)) continue;
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
    // Nothing will be tracked in it, and what comes into it leaves no trace here.
    if (node.entries.length === 0) place.isCompleteOncePushed = false;
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

/** Reports what the base has and the disk has not. */
function visitMissing(place: Place): boolean {
  const { visit, path, base } = place;
  let isMissing = false;
  for (const { entry } of base.values()) {
    const child = joinPath(path, entry.name);
    if (entry.kind === "conflict" && isStillConflict(place, child, entry.name)) {
      place.entries.push(entry);
      visit.conflicted.push(child);
      continue;
    }
    isMissing = true;
    reportDeleted(visit, child, entry);
  }
  return isMissing;
}

function reportDeleted(visit: Visit, path: string, entry: Entry): void {
  if (entry.kind !== "directory") {
    visit.differences.push({ path, status: "deleted", before: entry, after: undefined });
    return;
  }
  for (const child of baseEntries(visit.workspace, path)) {
    reportDeleted(visit, joinPath(path, child.name), child);
  }
}

function checkCollisions(visit: Visit, path: string, entries: readonly NodeEntry[]): void {
  const folded = new Map<string, string>();
  for (const { name } of entries) {
    const fold = plainName.test(name) ? name.toLowerCase() : foldName(name);
    const other = folded.get(fold);
    if (other === undefined) {
      folded.set(fold, name);
      continue;
    }
    // Directories list names in any order, and what is said of them does not depend on it.
    const [first, second] = compareNames(other, name) < 0 ? [other, name] : [name, other];
    folded.set(fold, first);
    const problem = `differs from ${JSON.stringify(first)} in case or accents' spelling only`;
    const hint = "rename one of them, or allow such names here: pogo push --case-sensitive";
    visit.offences.push({ path: joinPath(path, second), problem, hint });
  }
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
