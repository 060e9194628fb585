/**
 * A group of changed lines can often slide up or down: the line that leaves at one end equals the
 * one that enters at the other. Groups slide together where they touch, line up with the other
 * text's changes, and otherwise come to rest where the indentation says that a block begins.
 */
import type { DiffWork } from "./diff-work.ts";
import type { Side } from "./diff.ts";
import type { Lines } from "./text.ts";

type Group = { start: number; end: number };

const slideMax = 100;

/**
 * Slides the changed groups of one text; `lines` makes indentation count. Groups are left where
 * they are when no work is left: repetitive texts slide far and often.
 */
export function slideEdits(
  side: Side,
  other: Side,
  lines: Lines | undefined,
  work: DiffWork,
): void {
  const slider = new Slider(side, other, work);
  do {
    if (slider.group.end > slider.group.start) slideGroup(slider, lines, work);
  } while (work.slide > 0 && slider.next());
}

function slideGroup(slider: Slider, lines: Lines | undefined, work: DiffWork): void {
  const { group, otherGroup } = slider;
  let size: number;
  let earliestEnd: number;
  let matchingEnd: number;
  do {
    size = group.end - group.start;
    while (slider.up());
    earliestEnd = group.end;
    matchingEnd = otherGroup.end > otherGroup.start ? group.end : -1;
    while (slider.down()) {
      if (otherGroup.end > otherGroup.start) matchingEnd = group.end;
    }
  } while (size !== group.end - group.start && work.slide > 0);
  if (group.end === earliestEnd) return;
  if (matchingEnd >= 0) {
    while (otherGroup.end === otherGroup.start && slider.up());
  } else if (lines) {
    const best = bestEnd(lines, earliestEnd, group.end, size);
    while (group.end > best && slider.up());
  }
}

/** Walks the groups of two texts in step: the n-th of each stands before its n-th equal line. */
class Slider {
  readonly group: Group;
  readonly otherGroup: Group;
  readonly #work: DiffWork;
  readonly #side: Side;
  readonly #other: Side;

  constructor(side: Side, other: Side, work: DiffWork) {
    this.#work = work;
    this.#side = side;
    this.#other = other;
    this.group = firstGroup(side.changed);
    this.otherGroup = firstGroup(other.changed);
  }

  next(): boolean {
    return nextGroup(this.group, this.#side.changed) && this.#count(nextGroup);
  }

  up(): boolean {
    const { group } = this;
    const { ids, changed } = this.#side;
    if (group.start === 0 || ids[group.start - 1] !== ids[group.end - 1]) return false;
    changed[--group.start] = 1;
    changed[--group.end] = 0;
    while (group.start > 0 && changed[group.start - 1]) group.start--;
    this.#count(previousGroup);
    return true;
  }

  down(): boolean {
    const { group } = this;
    const { ids, changed } = this.#side;
    if (group.end >= ids.length || ids[group.start] !== ids[group.end]) return false;
    changed[group.start++] = 0;
    changed[group.end++] = 1;
    while (group.end < changed.length && changed[group.end]) group.end++;
    this.#count(nextGroup);
    return true;
  }

  /** Moves to another group of the other text: the larger it is the more that takes. */
  #count(move: (group: Group, changed: Uint8Array) => boolean): boolean {
    const isMoved = move(this.otherGroup, this.#other.changed);
    this.#work.slide -= 1 + this.otherGroup.end - this.otherGroup.start;
    return isMoved;
  }
}

function firstGroup(changed: Uint8Array): Group {
  let end = 0;
  while (end < changed.length && changed[end]) end++;
  return { start: 0, end };
}

function nextGroup(group: Group, changed: Uint8Array): boolean {
  if (group.end >= changed.length) return false;
  group.start = group.end + 1;
  group.end = group.start;
  while (group.end < changed.length && changed[group.end]) group.end++;
  return true;
}

function previousGroup(group: Group, changed: Uint8Array): boolean {
  group.end = group.start - 1;
  group.start = group.end;
  while (group.start > 0 && changed[group.start - 1]) group.start--;
  return true;
}

/** Where a group should end: the place of least penalty for both of its edges. */
function bestEnd(lines: Lines, earliestEnd: number, latestEnd: number, size: number): number {
  let best = latestEnd;
  let bestScore: Score | undefined;
  const from = Math.max(earliestEnd, latestEnd - size - 1, latestEnd - slideMax);
  for (let end = from; end <= latestEnd; end++) {
    const score: Score = { indent: 0, penalty: 0 };
    addEdge(score, lines, end);
    addEdge(score, lines, end - size);
    if (bestScore === undefined || compareScores(score, bestScore) <= 0) {
      bestScore = score;
      best = end;
    }
  }
  return best;
}

type Score = { indent: number; penalty: number };

// Weights that were fitted to hunks which people had rated; see mhagger/diff-slider-tools.
const weights = {
  startOfFile: 1,
  endOfFile: 21,
  blank: -30,
  blankAfter: 6,
  indent: -4,
  indentAfterBlank: 10,
  outdent: 24,
  outdentAfterBlank: 17,
  dedent: 23,
  dedentAfterBlank: 17,
  indentOverPenalty: 60,
};
const indentMax = 200;
const blanksMax = 20;

function compareScores(a: Score, b: Score): number {
  return weights.indentOverPenalty * Math.sign(a.indent - b.indent) + (a.penalty - b.penalty);
}

/** Adds what it costs to have an edge of a group before the line `at`. */
function addEdge(score: Score, lines: Lines, at: number): void {
  const isEnd = at >= lines.count;
  const own = isEnd ? -1 : indentOf(lines, at);
  const before = nearestIndent(lines, at - 1, -1);
  const after = nearestIndent(lines, at + 1, 1);
  if (before.indent === -1 && before.blanks === 0) score.penalty += weights.startOfFile;
  if (isEnd) score.penalty += weights.endOfFile;
  const blanksAfter = own === -1 ? 1 + after.blanks : 0;
  const blanks = before.blanks + blanksAfter;
  score.penalty += weights.blank * blanks + weights.blankAfter * blanksAfter;
  const indent = own === -1 ? after.indent : own;
  score.indent += indent;
  if (indent === -1 || before.indent === -1 || indent === before.indent) return;
  if (indent > before.indent) {
    score.penalty += blanks ? weights.indentAfterBlank : weights.indent;
  } else if (after.indent !== -1 && after.indent > indent) {
    score.penalty += blanks ? weights.outdentAfterBlank : weights.outdent;
  } else {
    score.penalty += blanks ? weights.dedentAfterBlank : weights.dedent;
  }
}

function nearestIndent(
  lines: Lines,
  from: number,
  step: number,
): { indent: number; blanks: number } {
  let blanks = 0;
  for (let line = from; line >= 0 && line < lines.count; line += step) {
    const indent = indentOf(lines, line);
    if (indent !== -1) return { indent, blanks };
    if (++blanks === blanksMax) return { indent: 0, blanks };
  }
  return { indent: -1, blanks };
}

/** Columns of white space before a line's text, or -1 when the line is blank. */
function indentOf({ bytes, starts }: Lines, line: number): number {
  let indent = 0;
  for (let at = starts[line]!; at < starts[line + 1]!; at++) {
    const byte = bytes[at]!;
    if (byte === 0x20) indent++;
    else if (byte === 0x09) indent += 8 - (indent % 8);
    else if (byte < 0x09 || byte > 0x0d) return indent;
    if (indent >= indentMax) return indentMax;
  }
  return -1;
}
