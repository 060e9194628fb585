/** The model's repository: all in memory, nothing clever, and every operation kept. */
import { Refusal } from "./refusal.ts";
import { mergeFiles, mergeVirtual, type Files, type Value } from "./terms.ts";

export type Version = {
  /** Larger than that of every version it was made from. */
  readonly id: number;
  readonly change: string;
  readonly number: number;
  readonly author: string;
  readonly description: string;
  readonly parents: readonly Version[];
  /** The version that it replaced, or the first parent. */
  readonly base: Version | undefined;
  /** What the model cannot foresee is filled in from the server. */
  readonly files: Map<string, Value>;
  /** Hash of the root tree, once the server has said it. */
  root?: string;
};

export type Change = {
  name: string;
  author: string;
  versions: Version[];
  at: Version;
  hidden: boolean;
};
export type Place = { version: number; hidden: boolean };

export type Effects = {
  changes: Map<string, { before: Place | null; after: Place }>;
  bookmarks: Map<string, { before: string | null; after: string | null }>;
};

export type Operation = {
  number: number;
  user: string;
  kind: string;
  effects: Effects;
  /** Of an undo or a redo: the operation that it took back. */
  reverses?: number;
};

/** What a request comes to, before it has come to it. */
export type Step = {
  kind: string;
  versions: Version[];
  /** Where changes and bookmarks go. */
  places: Map<string, { at: Version; hidden: boolean }>;
  bookmarks: Map<string, string | null>;
  reverses?: number;
};

/** A repository, and all that was ever done to it. */
export class Repository {
  readonly changes = new Map<string, Change>();
  readonly visible = new Set<string>();
  readonly bookmarks = new Map<string, string>();
  readonly operations: Operation[] = [];
  nextId = 1;

  change(name: string): Change {
    const change = this.changes.get(name);
    if (!change) throw new Error(`the model has no change ${name}`);
    return change;
  }

  /** A visible change, as requests name it. */
  named(name: string): Change {
    const change = this.change(name);
    if (change.hidden) throw new Refusal("not-found", `${name} is hidden`);
    return change;
  }

  /** Visible changes whose parents a change is among. */
  childrenOf(name: string): Change[] {
    return [...this.visible]
      .map((other) => this.change(other))
      .filter(({ at }) => at.parents.some((parent) => parent.change === name));
  }

  /** Names of changes, and of all visible changes above them. */
  descendantsOf(names: Iterable<string>): Set<string> {
    const found = new Set(names);
    for (const name of found) for (const child of this.childrenOf(name)) found.add(child.name);
    return found;
  }

  /** Names of changes and of all below them, as they stand now. */
  ancestorsOf(names: Iterable<string>): Set<string> {
    const found = new Set(names);
    for (const name of found)
      for (const { change } of this.change(name).at.parents) found.add(change);
    return found;
  }

  bookmarksAt(name: string): string[] {
    return [...this.bookmarks].filter(([, at]) => at === name).map(([bookmark]) => bookmark);
  }

  /** Begins a step that does nothing yet. */
  begin(kind: string): Step {
    return { kind, versions: [], places: new Map(), bookmarks: new Map() };
  }

  /** Adds a version to a step, and puts its change there unless told otherwise. */
  addVersion(
    step: Step,
    version: Omit<Version, "id" | "number" | "files" | "root"> & { files: Files },
    isDiverged = false,
  ): Version {
    const number = (this.changes.get(version.change)?.versions.length ?? 0) + 1;
    const id = this.nextId + step.versions.length;
    const added: Version = { ...version, id, number, files: new Map(version.files) };
    step.versions.push(added);
    if (!isDiverged) step.places.set(version.change, { at: added, hidden: false });
    return added;
  }

  /** Does a step; says what operation it was. */
  apply(step: Step, user: string): Operation {
    this.nextId += step.versions.length;
    const effects: Effects = { changes: new Map(), bookmarks: new Map() };
    for (const [name, { at, hidden }] of step.places) {
      const known = this.changes.get(name);
      const before = known ? { version: known.at.number, hidden: known.hidden } : null;
      effects.changes.set(name, { before, after: { version: at.number, hidden } });
      if (known) Object.assign(known, { at, hidden });
      else this.changes.set(name, { name, author: at.author, versions: [], at, hidden });
      if (hidden) this.visible.delete(name);
      else this.visible.add(name);
    }
    for (const version of step.versions) this.change(version.change).versions.push(version);
    for (const [bookmark, after] of step.bookmarks) {
      effects.bookmarks.set(bookmark, { before: this.bookmarks.get(bookmark) ?? null, after });
      if (after === null) this.bookmarks.delete(bookmark);
      else this.bookmarks.set(bookmark, after);
    }
    const number = this.operations.length + 1;
    const { kind, reverses } = step;
    const operation: Operation = { number, user, kind, effects, ...(reverses && { reverses }) };
    this.operations.push(operation);
    return operation;
  }

  /** Where everything was right after an operation. */
  statesAfter(number: number): { changes: Map<string, Place>; bookmarks: Map<string, string> } {
    const changes = new Map<string, Place>();
    const bookmarks = new Map<string, string>();
    for (const { effects } of this.operations.slice(0, number)) {
      for (const [name, { after }] of effects.changes) changes.set(name, after);
      for (const [bookmark, { after }] of effects.bookmarks) {
        if (after === null) bookmarks.delete(bookmark);
        else bookmarks.set(bookmark, after);
      }
    }
    return { changes, bookmarks };
  }
}

/** How often bases had to be merged; of how many values, how many only the server could say. */
export const foreseen = { merges: 0, crissCross: 0, values: 0, unknownValues: 0 };

/** Merges versions one after the other, as core/merge.ts says it. */
export function mergeVersions(versions: readonly Version[]): Files {
  const [first, ...rest] = versions;
  let files: Files = first?.files ?? new Map();
  const merged = first ? [first] : [];
  for (const next of rest) {
    foreseen.merges++;
    const bases = basesOf(next, merged);
    if (bases.length > 1) foreseen.crissCross++;
    files = mergeFiles(mergeBases(bases, 0), files, next.files);
    merged.push(next);
  }
  return files;
}

/** All best common ancestors of a version and of others together, oldest first. */
export function basesOf(one: Version, others: readonly Version[]): Version[] {
  const [below, belowOthers] = [originsBelow([one]), originsBelow(others)];
  const common = [...below].filter((version) => belowOthers.has(version));
  const older = new Set(common.flatMap(originsOf));
  return common.filter((version) => !older.has(version)).sort((a, b) => a.id - b.id);
}

const virtualDepthMax = 20;

function mergeBases(bases: readonly Version[], depth: number): Files {
  const [first, ...rest] = bases;
  let files: Files = first?.files ?? new Map();
  if (!first || depth >= virtualDepthMax) return files;
  const merged = [first];
  for (const next of rest) {
    const base = mergeBases(basesOf(next, merged), depth + 1);
    files = mergeVirtual(base, files, next.files);
    merged.push(next);
  }
  return files;
}

function originsOf({ parents, base }: Version): Version[] {
  return base ? [...parents, base] : [...parents];
}

function originsBelow(starts: readonly Version[]): Set<Version> {
  const found = new Set(starts);
  for (const version of found) for (const origin of originsOf(version)) found.add(origin);
  return found;
}
