/**
 * Histogram diff: the longest common run that contains the rarest line splits the texts in two,
 * and each half is compared alike. Rare lines (signatures) align before common ones (braces).
 */
import { openMyersDiff } from "./diff-myers.ts";
import type { DiffWork } from "./diff-work.ts";
import type { Side } from "./diff.ts";

/** A part of both texts that is still to be compared. */
export type Box = { oldStart: number; oldEnd: number; newStart: number; newEnd: number };

type Run = Box & { rarity: number };

// A line that stands more often than this says nothing about what belongs together.
const occurrencesMax = 64;

/** Marks the changed lines of two texts. Its time is bounded whatever the texts are. */
export function histogramDiff(old: Side, next: Side, idCount: number, work: DiffWork): void {
  const index = new OccurrenceIndex(old.ids, next.ids, idCount, work);
  const myersDiff = openMyersDiff(old, next, idCount, work);
  const whole = { oldStart: 0, oldEnd: old.ids.length, newStart: 0, newEnd: next.ids.length };
  const boxes: Box[] = [whole];
  for (let box = boxes.pop(); box; box = boxes.pop()) {
    if (box.oldStart === box.oldEnd || box.newStart === box.newEnd) {
      old.changed.fill(1, box.oldStart, box.oldEnd);
      next.changed.fill(1, box.newStart, box.newEnd);
      continue;
    }
    const run = work.histogram > 0 ? index.rarestRun(box) : "common";
    if (run === "common") {
      myersDiff(box);
    } else if (run === undefined) {
      old.changed.fill(1, box.oldStart, box.oldEnd);
      next.changed.fill(1, box.newStart, box.newEnd);
    } else {
      boxes.push({ ...box, oldStart: run.oldEnd, newStart: run.newEnd });
      boxes.push({ ...box, oldEnd: run.oldStart, newEnd: run.newStart });
    }
  }
}

/** Where each line stands in the part of the old text that is being compared. */
class OccurrenceIndex {
  readonly #work: DiffWork;
  readonly #old: Int32Array;
  readonly #new: Int32Array;
  readonly #counts: Int32Array;
  readonly #first: Int32Array;
  readonly #following: Int32Array;

  constructor(oldIds: Int32Array, newIds: Int32Array, idCount: number, work: DiffWork) {
    this.#work = work;
    this.#old = oldIds;
    this.#new = newIds;
    this.#counts = new Int32Array(idCount);
    this.#first = new Int32Array(idCount);
    this.#following = new Int32Array(oldIds.length);
  }

  /** The run to split at; "common" when only lines that stand everywhere are shared. */
  rarestRun(box: Box): Run | "common" | undefined {
    this.#fill(box);
    const best: Run = { ...box, oldEnd: box.oldStart, rarity: occurrencesMax + 1 };
    let isShared = false;
    for (let line = box.newStart; line < box.newEnd;) {
      const count = this.#counts[this.#new[line]!]!;
      if (count > 0) isShared = true;
      this.#work.histogram--;
      if (this.#work.histogram < 0) {
        isShared = true;
        break;
      }
      line = count > 0 && count <= best.rarity ? this.#tryRuns(box, line, best) : line + 1;
    }
    for (let line = box.oldStart; line < box.oldEnd; line++) this.#counts[this.#old[line]!] = 0;
    if (isShared && best.rarity > occurrencesMax) return "common";
    return best.oldEnd > best.oldStart ? best : undefined;
  }

  #fill({ oldStart, oldEnd }: Box): void {
    for (let line = oldEnd - 1; line >= oldStart; line--) {
      const id = this.#old[line]!;
      const count = this.#counts[id]!;
      this.#following[line] = count === 0 ? -1 : this.#first[id]!;
      this.#first[id] = line;
      this.#counts[id] = count + 1;
    }
    this.#work.histogram -= oldEnd - oldStart;
  }

  /** Grows a run around each place where the new text's line stands; returns where to go on. */
  #tryRuns(box: Box, line: number, best: Run): number {
    const old = this.#old;
    const next = this.#new;
    const counts = this.#counts;
    const id = next[line]!;
    const count = counts[id]!;
    let goOn = line + 1;
    for (let at = this.#first[id]!; at >= 0;) {
      let rarity = count;
      let oldStart = at;
      let newStart = line;
      while (oldStart > box.oldStart && newStart > box.newStart) {
        if (old[oldStart - 1] !== next[newStart - 1]) break;
        oldStart--;
        newStart--;
        if (rarity > 1) rarity = Math.min(rarity, counts[old[oldStart]!]!);
      }
      let oldEnd = at + 1;
      let newEnd = line + 1;
      while (oldEnd < box.oldEnd && newEnd < box.newEnd && old[oldEnd] === next[newEnd]) {
        if (rarity > 1) rarity = Math.min(rarity, counts[old[oldEnd]!]!);
        oldEnd++;
        newEnd++;
      }
      this.#work.histogram -= oldEnd - oldStart;
      if (goOn < newEnd) goOn = newEnd;
      // A run of one line has beaten nothing until its rarity has: there is none at the start.
      const longest = Math.max(1, best.oldEnd - best.oldStart);
      if (oldEnd - oldStart > longest || rarity < best.rarity) {
        Object.assign(best, { oldStart, oldEnd, newStart, newEnd, rarity });
      }
      at = this.#following[at]!;
      while (at >= 0 && at < oldEnd) at = this.#following[at]!;
    }
    return goOn;
  }
}
