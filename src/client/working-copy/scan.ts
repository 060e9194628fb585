/**
 * Compares the working copy with its base.
 *
 * Directories that stand as recorded (verify.ts) are not looked at again. Every other one is
 * listed, its files are compared by stat, and where stats cannot tell, by contents. A new file, or
 * one of another size, is not read: its hash is `undefined` until whoever sends it has read it,
 * once, with read.ts and filled in `hash`, `size`, `stat` and `executable`. `buildTrees` then makes
 * the trees. What one scan finds out by hashing, the next one finds recorded.
 *
 * Any failure ends the scan: a partial tree is never returned.
 */
import { PogoError } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { compareNames, type Entry, type SymlinkEntry } from "#core/tree.ts";
import { openDirectoryReader } from "#native/directory.ts";
import { modifiedFiles, saveLearned, type Learned } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import { outlineBase } from "./outline.ts";
import { readClock, type Clock, type Stat } from "./stat.ts";
import type { ScanNode } from "./place.ts";
import { openVisit, visitRoot } from "./visit.ts";

/** A file as it stands on the disk. Its reader fills in what only reading can tell. */
export type ChangedFile = {
  kind: "file";
  name: string;
  executable: boolean;
  size: number;
  hash: Hash | undefined;
  /** What it was when it was hashed, if that can be trusted or its reader has filled it in. */
  stat: Stat;
};

/** One path that differs from the base. */
export type Difference = {
  path: string;
  status: "added" | "modified" | "deleted";
  before: Entry | undefined;
  after: ChangedFile | SymlinkEntry | undefined;
};

export type Scan = {
  /** Root tree of the base. */
  base: Hash;
  /** In the order of the bytes of their paths. */
  differences: Difference[];
  /** Paths of the base that are still in conflict. */
  conflicted: string[];
  /** Those of them that were edited and have markers yet: they cannot be pushed. */
  unfinished: string[];
  /** Nothing when no directory differs. */
  root: ScanNode | undefined;
  /** Read before any file was. */
  clock: () => Clock | undefined;
  generation: number;
  /** The thoroughly visited directories. */
  visited: Map<string, VisitedDirectory>;
};

/** What a visit recorded of a directory. */
export type VisitedDirectory = {
  /** Its stat before it was listed, if it holds nothing but what a push would make its entries. */
  self: Stat | undefined;
  rulesAbove: string;
  rules: string;
};

export type ScanOptions = {
  /** Looks at what the ignore files ignore, too. Once it is tracked it is never ignored. */
  includeIgnored?: boolean;
};

/** Compares the working copy with its base, and remembers what it learned for the next time. */
export function scan(workspace: Workspace, { includeIgnored = false }: ScanOptions = {}): Scan {
  const { root, state } = workspace;
  const generation = state.generation;
  using reader = openDirectoryReader(root);
  const outline = outlineBase(workspace, reader, generation);
  let clock: { value: Clock | undefined } | undefined;
  const readClockOnce = () => (clock ??= { value: readClock(workspace.control) }).value;
  const result: Scan = {
    base: state.current.tree,
    differences: [],
    conflicted: [],
    unfinished: [],
    root: undefined,
    clock: readClockOnce,
    generation,
    visited: new Map(),
  };
  if (outline.isClean && !includeIgnored) return result;

  const learned: Learned = { rows: [], modified: new Map(), forgotten: [] };
  const modified = modifiedFiles(state);
  const visit = openVisit({
    workspace,
    reader,
    outline,
    clock: readClockOnce,
    modified,
    learned,
    differences: result.differences,
    visited: result.visited,
    conflicted: result.conflicted,
    unfinished: result.unfinished,
    caseSensitive: state.binding.caseSensitive,
    includeIgnored,
  });
  result.root = visitRoot(visit);
  refuse(visit.offences);
  result.conflicted.sort(compareNames);
  result.differences.sort((a, b) => compareNames(a.path, b.path));
  if (modified.size > 0) {
    const differing = new Set(result.differences.map(({ path }) => path));
    learned.forgotten = [...modified.keys()].filter((path) => !differing.has(path));
  }
  saveLearned(state, learned, generation);
  return result;
}

/** The new or changed files whose contents are not known yet. */
export function unhashedFiles(scan: Scan): { path: string; file: ChangedFile }[] {
  const files = [];
  for (const { path, after } of scan.differences) {
    if (after?.kind === "file" && after.hash === undefined) files.push({ path, file: after });
  }
  return files;
}

/** A path that cannot be in a snapshot, and why. */
export type Offence = { path: string; problem: string; hint?: string };

const offencesShown = 10;

function refuse(offences: readonly Offence[]): void {
  if (offences.length === 0) return;
  const lines = offences
    .slice(0, offencesShown)
    .map(({ path, problem }) => `${JSON.stringify(path)} ${problem}`);
  const more = offences.length - lines.length;
  if (more > 0) lines.push(`and ${more} more`);
  throw new PogoError("usage", lines.join("; "), {
    hint: offences[0]?.hint ?? "rename or remove it, or list it in .pogoignore",
  });
}
