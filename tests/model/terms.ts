/**
 * What the model knows of merging: a path holds a value, and a value is a sum of terms, sides
 * minus bases, in no order. Contents are never looked into: every one that is written is a line
 * that nobody else writes, so two that differ are merged by nobody.
 */

import { conflictSidesMax } from "#core/limits.ts";
import { Refusal } from "./refusal.ts";

/** Contents or a link's target as text; the empty one is the absence of a file. */
export type Term = string;

/** A term, or the canonical text of a conflict, or of something that the model cannot foresee. */
export type Value = string;

/** Values by path; a path that is not there holds nothing. */
export type Files = ReadonlyMap<string, Value>;

const absent: Term = "";
const conflictMark = "conflict ";
const unknownMark = "unknown ";
const learned = new Map<Value, Value>();

/** Tells whether a value has several sides. */
export function isConflict(value: Value): boolean {
  return value.startsWith(conflictMark);
}

/** Tells whether only the server can say what the value is. */
export function isUnknown(value: Value): boolean {
  return value.startsWith(unknownMark);
}

/** Takes note of what the server says that an unknown value is. */
export function learn(value: Value, found: Value): void {
  learned.set(value, found);
}

/** Tells whether anything in a snapshot is unknown. */
export function holdsUnknown(files: Files): boolean {
  return [...files.values()].some(isUnknown);
}

/** Tells whether any file is in conflict. */
export function holdsConflict(files: Files): boolean {
  return [...files.values()].some(isConflict);
}

/** The value that sides and bases come to as they stand. */
export function valueOf(sides: readonly Term[], bases: readonly Term[]): Value {
  if (bases.length === 0) return sides[0]!;
  if (sides.length > conflictSidesMax) throw new Refusal("conflict", "too many sides");
  return conflictMark + JSON.stringify([sides.toSorted(), bases.toSorted()]);
}

/** Merges the values of one path. */
export function mergeValues(base: Value, ours: Value, theirs: Value): Value {
  if (ours === theirs || base === theirs) return ours;
  if (base === ours) return theirs;
  if ([base, ours, theirs].some(isUnknown)) return unknown(base, ours, theirs);
  const [b, o, t] = [base, ours, theirs].map(termsOf) as [Terms, Terms, Terms];
  return simplify([...o.sides, ...b.bases, ...t.sides], [...o.bases, ...b.sides, ...t.bases]);
}

/** Merges snapshots path by path. */
export function mergeFiles(base: Files, ours: Files, theirs: Files, merge = mergeValues): Files {
  const merged = new Map<string, Value>();
  for (const path of new Set([...base.keys(), ...ours.keys(), ...theirs.keys()])) {
    const [b, o, t] = [base, ours, theirs].map((files) => files.get(path) ?? absent);
    const value = merge(b!, o!, t!);
    if (value !== absent) merged.set(path, value);
  }
  return merged;
}

/**
 * Merges bases of a criss-cross: what stands there for a conflict is text with markers, which is
 * not foreseen, unless both sides turn out to have solved it alike.
 */
export function mergeVirtual(base: Files, ours: Files, theirs: Files): Files {
  return mergeFiles(base, ours, theirs, (b, o, t) => {
    const value = mergeValues(b, o, t);
    const isSame = b === o && o === t;
    return isConflict(value) && !isSame ? unknown(b, o, t) : value;
  });
}

/** Tells whether two snapshots hold the same. */
export function equalFiles(some: Files, others: Files): boolean {
  return (
    some.size === others.size && [...some].every(([path, value]) => others.get(path) === value)
  );
}

type Terms = { sides: Term[]; bases: Term[] };

function termsOf(value: Value): Terms {
  if (!isConflict(value)) return { sides: [value], bases: [] };
  const [sides, bases] = JSON.parse(value.slice(conflictMark.length)) as [Term[], Term[]];
  return { sides, bases };
}

/** The same three values come to the same, so that the server has to be asked but once. */
function unknown(base: Value, ours: Value, theirs: Value): Value {
  const value = unknownMark + Bun.hash(JSON.stringify([base, ours, theirs])).toString(36);
  return learned.get(value) ?? value;
}

/** Like terms cancel, and what all sides say is said once. */
function simplify(allSides: readonly Term[], allBases: readonly Term[]): Value {
  const sides = [...allSides];
  const bases: Term[] = [];
  for (const base of allBases) if (!remove(sides, base)) bases.push(base);
  if (new Set(sides).size === 1) return sides[0]!;
  for (;;) {
    // A change that was made twice counts once, if it is clear which one that is.
    const [side, ...otherSides] = repeated(sides);
    const [base, ...otherBases] = repeated(bases);
    const isClear = otherSides.length === 0 && otherBases.length === 0;
    if (side === undefined || base === undefined || !isClear) return valueOf(sides, bases);
    remove(sides, side);
    remove(bases, base);
  }
}

function remove(terms: Term[], term: Term): boolean {
  const index = terms.indexOf(term);
  if (index >= 0) terms.splice(index, 1);
  return index >= 0;
}

function repeated(terms: readonly Term[]): Term[] {
  return [...new Set(terms.filter((term, index) => terms.indexOf(term) !== index))];
}
