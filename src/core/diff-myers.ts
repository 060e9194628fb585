/**
 * Myers' linear-space diff: what histogram diff falls back to where every shared line is common.
 * Past a cost it stops looking for the shortest script and splits at the furthest point reached.
 */
import type { Box } from "./diff-histogram.ts";
import type { DiffWork } from "./diff-work.ts";
import type { Side } from "./diff.ts";

const costMin = 256;

/** Returns what marks the changed lines inside a box of two texts, or all when no work is left. */
export function openMyersDiff(
  old: Side,
  next: Side,
  idCount: number,
  work: DiffWork,
): (box: Box) => void {
  let isThere: Uint8Array | undefined;
  return (box) => {
    isThere ??= new Uint8Array(idCount);
    const oldRange = { ids: old.ids, start: box.oldStart, end: box.oldEnd };
    const newRange = { ids: next.ids, start: box.newStart, end: box.newEnd };
    const a = matchable(old.changed, oldRange, newRange, isThere);
    const b = matchable(next.changed, newRange, oldRange, isThere);
    markChanged(old, next, a, b, work);
  };
}

function markChanged(old: Side, next: Side, a: Matchable, b: Matchable, work: DiffWork): void {
  const search = new Search(a.ids, b.ids, work);
  const boxes: Box[] = [{ oldStart: 0, oldEnd: a.ids.length, newStart: 0, newEnd: b.ids.length }];
  for (let part = boxes.pop(); part; part = boxes.pop()) {
    trim(part, a.ids, b.ids);
    const isEmpty = part.oldStart === part.oldEnd || part.newStart === part.newEnd;
    if (isEmpty || work.myers <= 0) {
      for (let at = part.oldStart; at < part.oldEnd; at++) old.changed[a.lines[at]!] = 1;
      for (let at = part.newStart; at < part.newEnd; at++) next.changed[b.lines[at]!] = 1;
      continue;
    }
    const [x, y] = search.split(part);
    boxes.push({ ...part, oldStart: x, newStart: y }, { ...part, oldEnd: x, newEnd: y });
  }
}

type Range = { ids: Int32Array; start: number; end: number };
type Matchable = { ids: Int32Array; lines: Int32Array };

/** Lines that the other text has, too; the others are marked as changed at once. */
function matchable(changed: Uint8Array, own: Range, other: Range, isThere: Uint8Array): Matchable {
  for (let line = other.start; line < other.end; line++) isThere[other.ids[line]!] = 1;
  const ids = new Int32Array(own.end - own.start);
  const lines = new Int32Array(own.end - own.start);
  let count = 0;
  for (let line = own.start; line < own.end; line++) {
    const id = own.ids[line]!;
    if (!isThere[id]) {
      changed[line] = 1;
      continue;
    }
    ids[count] = id;
    lines[count++] = line;
  }
  // What was written here is wiped out rather than all of it: there may be many small boxes.
  for (let line = other.start; line < other.end; line++) isThere[other.ids[line]!] = 0;
  return { ids: ids.subarray(0, count), lines: lines.subarray(0, count) };
}

function trim(box: Box, a: Int32Array, b: Int32Array): void {
  while (box.oldStart < box.oldEnd && box.newStart < box.newEnd) {
    if (a[box.oldStart] !== b[box.newStart]) break;
    box.oldStart++;
    box.newStart++;
  }
  while (box.oldStart < box.oldEnd && box.newStart < box.newEnd) {
    if (a[box.oldEnd - 1] !== b[box.newEnd - 1]) break;
    box.oldEnd--;
    box.newEnd--;
  }
}

type Reach = { min: number; max: number };

/** Walks edit scripts from both ends of a box until they meet. */
class Search {
  readonly #work: DiffWork;
  readonly #a: Int32Array;
  readonly #b: Int32Array;
  readonly #forward: Int32Array;
  readonly #backward: Int32Array;
  readonly #zero: number;
  readonly #costMax: number;

  constructor(a: Int32Array, b: Int32Array, work: DiffWork) {
    this.#work = work;
    this.#a = a;
    this.#b = b;
    const diagonals = a.length + b.length + 5;
    this.#forward = new Int32Array(diagonals);
    this.#backward = new Int32Array(diagonals);
    this.#zero = b.length + 2;
    this.#costMax = Math.max(costMin, Math.ceil(Math.sqrt(diagonals)));
  }

  /** A point on a short script through the box, at neither of its corners. */
  split(box: Box): [number, number] {
    const middleForward = box.oldStart - box.newStart;
    const middleBackward = box.oldEnd - box.newEnd;
    const isOdd = ((middleForward - middleBackward) & 1) !== 0;
    const ahead: Reach = { min: middleForward, max: middleForward };
    const behind: Reach = { min: middleBackward, max: middleBackward };
    this.#forward[this.#zero + middleForward] = box.oldStart;
    this.#backward[this.#zero + middleBackward] = box.oldEnd;
    for (let cost = 1; ; cost++) {
      const met =
        this.#stepForward(box, ahead, isOdd ? behind : undefined) ??
        this.#stepBackward(box, behind, isOdd ? undefined : ahead);
      if (met) return met;
      if (cost >= this.#costMax || this.#work.myers <= 0) return this.#furthest(box, ahead, behind);
    }
  }

  #stepForward(box: Box, ahead: Reach, behind: Reach | undefined): [number, number] | undefined {
    const { oldEnd, newEnd } = box;
    const reach = this.#forward;
    const zero = this.#zero;
    widen(box, ahead, reach, zero, -1);
    for (let diagonal = ahead.max; diagonal >= ahead.min; diagonal -= 2) {
      const below = reach[zero + diagonal - 1]!;
      const above = reach[zero + diagonal + 1]!;
      let x = below >= above ? below + 1 : above;
      let y = x - diagonal;
      const from = x;
      while (x < oldEnd && y < newEnd && this.#a[x] === this.#b[y]) {
        x++;
        y++;
      }
      reach[zero + diagonal] = x;
      this.#work.myers -= 1 + x - from;
      const isMet = behind && behind.min <= diagonal && diagonal <= behind.max;
      if (isMet && this.#backward[zero + diagonal]! <= x) return [x, y];
    }
    return undefined;
  }

  #stepBackward(box: Box, behind: Reach, ahead: Reach | undefined): [number, number] | undefined {
    const { oldStart, newStart } = box;
    const reach = this.#backward;
    const zero = this.#zero;
    widen(box, behind, reach, zero, 0x7fffffff);
    for (let diagonal = behind.max; diagonal >= behind.min; diagonal -= 2) {
      const below = reach[zero + diagonal - 1]!;
      const above = reach[zero + diagonal + 1]!;
      let x = below < above ? below : above - 1;
      let y = x - diagonal;
      const from = x;
      while (x > oldStart && y > newStart && this.#a[x - 1] === this.#b[y - 1]) {
        x--;
        y--;
      }
      reach[zero + diagonal] = x;
      this.#work.myers -= 1 + from - x;
      const isMet = ahead && ahead.min <= diagonal && diagonal <= ahead.max;
      if (isMet && x <= this.#forward[zero + diagonal]!) return [x, y];
    }
    return undefined;
  }

  #furthest(box: Box, ahead: Reach, behind: Reach): [number, number] {
    let best: [number, number] = [box.oldStart, box.newStart];
    let gained = -1;
    for (let diagonal = ahead.max; diagonal >= ahead.min; diagonal -= 2) {
      const x = Math.min(this.#forward[this.#zero + diagonal]!, box.oldEnd);
      const y = Math.min(x - diagonal, box.newEnd);
      const gain = y + diagonal - box.oldStart + (y - box.newStart);
      if (gain > gained) [gained, best] = [gain, [y + diagonal, y]];
    }
    for (let diagonal = behind.max; diagonal >= behind.min; diagonal -= 2) {
      const x = Math.max(this.#backward[this.#zero + diagonal]!, box.oldStart);
      const y = Math.max(x - diagonal, box.newStart);
      const gain = box.oldEnd - (y + diagonal) + (box.newEnd - y);
      if (gain > gained) [gained, best] = [gain, [y + diagonal, y]];
    }
    return best;
  }
}

/** Takes in the next diagonal on either side, or steps back where the box ends. */
function widen(box: Box, reach: Reach, points: Int32Array, zero: number, outside: number): void {
  if (reach.min > box.oldStart - box.newEnd) {
    reach.min--;
    points[zero + reach.min - 1] = outside;
  } else {
    reach.min++;
  }
  if (reach.max < box.oldEnd - box.newStart) {
    reach.max++;
    points[zero + reach.max + 1] = outside;
  } else {
    reach.max--;
  }
}
