/** What is known of a directory, and of the whole walk, while the working copy is compared. */
import { nameBytesMax, pathBytesMax, pathDepthMax } from "#core/limits.ts";
import { nameProblem } from "#core/path.ts";
import type { Entry } from "#core/tree.ts";
import type { DirectoryReader } from "#native/directory.ts";
import type { DirectoryRow, Learned, ModifiedFile } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import type { IgnoreRules } from "./ignore.ts";
import type { Outline } from "./outline.ts";
import type { ConflictRecord } from "./conflict-records.ts";
import type { Context } from "./rules-context.ts";
import type { ChangedFile, Difference, Offence, VisitedDirectory } from "./scan.ts";
import type { Clock, Stat } from "./stat.ts";

/** What most names are like: nothing to fold, nothing to refuse. */
export const plainName = /^[\w-](?:[\w.-]*[\w-])?$/;

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
  /** How the conflicts of the base stand, and the names of their sides. */
  conflicts: ReadonlyMap<string, ConflictRecord>;
  standIns: ReadonlySet<string>;
  /** Paths still in conflict, and those of them that were edited and have markers. */
  conflicted: string[];
  unfinished: string[];
  /** What the rules ignore is looked at like anything else. */
  includeIgnored: boolean;
  paths: { buffer: Buffer; stats: Uint32Array };
};

/** What is gathered about one directory while it is visited. */
export type Place = {
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

/** Notes that a path cannot be in a snapshot. */
export function refuse({ visit }: Place, path: string, problem: string): void {
  visit.offences.push({ path, problem });
}

/** Takes an entry of the base over as it is. */
export function keepEntry(place: Place, name: string): { entry: Entry; index: number } {
  const known = place.base.get(name)!;
  place.entries.push(known.entry);
  place.base.delete(name);
  return known;
}

/** Notes it if a new name, or the path that it makes, is not safe everywhere. */
export function checkName(place: Place, name: string, path: string): void {
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
