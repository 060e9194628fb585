import { histogramDiff } from "./diff-histogram.ts";
import { internLines } from "./diff-intern.ts";
import { slideEdits } from "./diff-slide.ts";
import { newDiffWork, type DiffWork } from "./diff-work.ts";
import type { Lines } from "./text.ts";

/** One place where two texts differ: lines of the old one, and what stands there in the new one. */
export type Edit = { oldStart: number; oldCount: number; newStart: number; newCount: number };

/** A text's lines as numbers, equal where the lines are equal, and which of them are changed. */
export type Side = { ids: Int32Array; changed: Uint8Array };

/**
 * Compares two texts by lines: a histogram diff, its hunks slid to where people expect them.
 * With `readable` the slide weighs indentation, as for display; merges do without. `work` bounds
 * what it costs, alone or together with other comparisons.
 */
export function diffLines(
  before: Lines,
  after: Lines,
  {
    readable = true,
    work = newDiffWork(),
  }: { readable?: boolean; work?: DiffWork | undefined } = {},
): Edit[] {
  const { oldIds, newIds, idCount } = internLines(before, after);
  const old: Side = { ids: oldIds, changed: new Uint8Array(oldIds.length) };
  const next: Side = { ids: newIds, changed: new Uint8Array(newIds.length) };
  histogramDiff(old, next, idCount, work);
  slideEdits(old, next, readable ? before : undefined, work);
  slideEdits(next, old, readable ? after : undefined, work);
  return listEdits(old.changed, next.changed);
}

function listEdits(oldChanged: Uint8Array, newChanged: Uint8Array): Edit[] {
  const edits: Edit[] = [];
  let oldAt = 0;
  let newAt = 0;
  while (oldAt < oldChanged.length || newAt < newChanged.length) {
    const oldStart = oldAt;
    const newStart = newAt;
    while (oldAt < oldChanged.length && oldChanged[oldAt]) oldAt++;
    while (newAt < newChanged.length && newChanged[newAt]) newAt++;
    if (oldAt > oldStart || newAt > newStart) {
      edits.push({ oldStart, oldCount: oldAt - oldStart, newStart, newCount: newAt - newStart });
    }
    oldAt++;
    newAt++;
  }
  return edits;
}
