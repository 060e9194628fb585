/**
 * A conflict is what stands at a path that has several sides: an alternating sum, side - base +
 * side - base + side. Like terms cancel, so that a conflict shrinks, and at last is none, as later
 * merges make its sides and bases equal.
 */
import { PogoError } from "./errors.ts";
import { conflictSidesMax } from "./limits.ts";
import type { ConflictEntry, Entry } from "./tree.ts";

type Unnamed<T> = T extends Entry ? Omit<T, "name"> : never;

/** A file, link or directory as one side or base of a conflict, without the name they share. */
export type ConflictTerm = Unnamed<Exclude<Entry, ConflictEntry>> & {
  /** Where it stood, if that was not where the conflict is. */
  path?: string | undefined;
};

/** Sides and bases in their order; an absent one is undefined. There is one side more. */
export type Conflict = {
  sides: (ConflictTerm | undefined)[];
  bases: (ConflictTerm | undefined)[];
};

/** Reads an entry, or the absence of one, as a conflict that may have a single side. */
export function toConflict(entry: Entry | undefined, path?: string): Conflict {
  if (entry === undefined) return { sides: [undefined], bases: [] };
  if (entry.kind === "conflict") return { sides: entry.sides, bases: entry.bases };
  const { name: _, ...term } = entry;
  return { sides: [path === undefined ? term : { ...term, path }], bases: [] };
}

/** Turns a simplified conflict into an entry: into a plain one when one side is left. */
export function fromConflict(name: string, { sides, bases }: Conflict): Entry | undefined {
  if (sides.length > conflictSidesMax) {
    const message = `${JSON.stringify(name)} would be in conflict with ${sides.length} sides`;
    throw new PogoError("conflict", `${message}: ${conflictSidesMax} may be`, {
      hint: "resolve it first in one of the changes that are merged: pogo resolve --list",
    });
  }
  if (bases.length > 0) return { kind: "conflict", name, sides, bases };
  const [side] = sides;
  if (side === undefined) return undefined;
  const { path: _, ...entry } = side;
  return { ...entry, name } as Entry;
}

/** The conflict that is left when the change from `base` to `theirs` is made to `ours`. */
export function addConflicts(base: Conflict, ours: Conflict, theirs: Conflict): Conflict {
  if (haveSameTerms(ours, theirs) || haveSameTerms(base, theirs)) return ours;
  if (haveSameTerms(base, ours)) return theirs;
  return simplifyConflict({
    sides: [...ours.sides, ...base.bases, ...theirs.sides],
    bases: [...ours.bases, ...base.sides, ...theirs.bases],
  });
}

/**
 * Cancels every side against a base that equals it, and counts a change that several sides made
 * alike once. What is left has no side in common with its bases.
 */
export function simplifyConflict(conflict: Conflict): Conflict {
  const sides = [...conflict.sides];
  const bases = [...conflict.bases];
  for (let at = 0; at < bases.length;) {
    const side = sides.findIndex((term) => equalTerms(term, bases[at]));
    if (side < 0) {
      at++;
      continue;
    }
    sides.splice(side, 1);
    bases.splice(at, 1);
  }
  if (sides.every((term) => equalTerms(term, sides[0]))) return { sides: [sides[0]], bases: [] };
  for (;;) {
    const side = repeatedIndex(sides);
    const base = repeatedIndex(bases);
    if (side < 0 || base < 0) return { sides, bases };
    sides.splice(side, 1);
    bases.splice(base, 1);
  }
}

/** Tells whether a conflict is one, and as simple as it can be. */
export function isSimplified(conflict: Conflict): boolean {
  const { sides, bases } = conflict;
  if (bases.length === 0 || sides.length !== bases.length + 1) return false;
  return (
    sides.length <= conflictSidesMax && simplifyConflict(conflict).bases.length === bases.length
  );
}

/** Tells whether two terms are the same thing at the same path. */
function equalTerms(a: ConflictTerm | undefined, b: ConflictTerm | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.path !== b.path) return false;
  if (a.kind === "symlink") return b.kind === "symlink" && a.target === b.target;
  if (b.kind === "symlink" || a.kind !== b.kind) return false;
  if (a.kind === "file" && b.kind === "file" && a.executable !== b.executable) return false;
  return Buffer.compare(a.hash, b.hash) === 0;
}

/** Tells whether two conflicts have the same terms in the same order. */
export function equalConflicts(a: Conflict, b: Conflict): boolean {
  const isEqual = (x: Conflict["sides"], y: Conflict["sides"]) => {
    return x.length === y.length && x.every((term, index) => equalTerms(term, y[index]));
  };
  return isEqual(a.sides, b.sides) && isEqual(a.bases, b.bases);
}

/** Tells whether two conflicts are one: in which order their terms came about says nothing. */
function haveSameTerms(a: Conflict, b: Conflict): boolean {
  const isSame = (x: Conflict["sides"], y: Conflict["sides"]) => {
    const left = [...y];
    return (
      x.length === y.length &&
      x.every((term) => {
        const index = left.findIndex((other) => equalTerms(term, other));
        if (index >= 0) left.splice(index, 1);
        return index >= 0;
      })
    );
  };
  return isSame(a.sides, b.sides) && isSame(a.bases, b.bases);
}

/** Bytes that a term takes up in a tree's encoding, at most. */
export function termBytesMax(term: ConflictTerm | undefined): number {
  if (term === undefined) return 1;
  const target = term.kind === "symlink" ? term.target.length * 3 : 0;
  return 60 + target + (term.path?.length ?? 0) * 3;
}

/**
 * Index of a term that equals an earlier one, or -1; also when several terms are repeated, as
 * which of them was the change that was made twice then depends on their order.
 */
function repeatedIndex(terms: (ConflictTerm | undefined)[]): number {
  const repeated = terms.flatMap((term, index) => {
    return terms.slice(0, index).some((earlier) => equalTerms(earlier, term)) ? [index] : [];
  });
  const [first = -1] = repeated;
  return repeated.every((index) => equalTerms(terms[index], terms[first])) ? first : -1;
}
