/**
 * Conflicts of two texts as one text with markers, for people to edit:
 *
 *   <<<<<<< ours      the one side's lines
 *   ||||||| base      what both began with
 *   =======           the other side's lines
 *   >>>>>>> theirs
 *
 * The markers are longer than any in the texts, so a file about markers is no conflict. Conflicts
 * of more sides are in conflict-sides.ts.
 */
import { markerLengthFor, markerRun, MarkerWriter, unitBytes } from "./conflict-marker-writer.ts";
import { newMergeWork, type DiffWork } from "./diff-work.ts";
import { diffLines } from "./diff.ts";
import { mergeLines, runBytes, type MergedLines, type MergeRegion } from "./merge-text.ts";
import { lineRange, splitLines, textEncoding, type Lines } from "./text.ts";

export type ConflictTexts = { base: Uint8Array; ours: Uint8Array; theirs: Uint8Array };
export type ConflictLabels = { base: string; ours: string; theirs: string };

/** A text with markers, and how long each is. */
export type MarkedText = { bytes: Uint8Array; markerLength: number };

// Equal lines between two conflicts that are shown as part of one: fewer are harder to read.
const linesBetweenMin = 4;

/**
 * Writes two sides as one text with markers; nothing when one of them is binary. Without a base
 * in the markers, lines that both sides have are left out of the conflict.
 */
export function markConflict(
  texts: ConflictTexts,
  labels: ConflictLabels,
  { showBase = true }: { showBase?: boolean } = {},
): MarkedText | undefined {
  const merged = mergeLines(texts.base, texts.ours, texts.theirs);
  if (!merged) return undefined;
  const { ours, theirs, base } = merged;
  const work = newMergeWork();
  const regions = showBase
    ? merged.regions
    : merged.regions.flatMap((region) => refine(merged, region, work));
  const markerLength = markerLengthFor([base, ours, theirs]);
  const writer = new MarkerWriter([ours, theirs, base], markerLength);
  let at = 0;
  for (const region of regions) {
    writer.addLines(lineRange(ours, at, region.ours.start));
    at = region.ours.start + region.ours.count;
    if (region.take === "ours") writer.addLines(runBytes(ours, region.ours));
    if (region.take === "theirs") writer.addLines(runBytes(theirs, region.theirs));
    if (region.take !== "conflict") continue;
    writer.addPart("<", labels.ours, runBytes(ours, region.ours), ours);
    if (showBase) writer.addPart("|", labels.base, runBytes(base, region.base), base);
    writer.addPart("=", "", runBytes(theirs, region.theirs), theirs);
    writer.addMarker(">", labels.theirs);
  }
  writer.addLines(lineRange(ours, at, ours.count));
  return { bytes: writer.finish(), markerLength };
}

/** Tells whether a text still has markers of the given length. */
export function hasMarkers(bytes: Uint8Array, markerLength: number): boolean {
  const encoding = textEncoding(bytes);
  if (encoding === undefined) return false;
  const lines = splitLines(bytes, encoding);
  const unit = unitBytes(encoding);
  for (let line = 0; line < lines.count; line++) {
    const run = markerRun(lines, line, unit);
    if (run === markerLength) return true;
  }
  return false;
}

/** Narrows a conflict to the lines in which its two sides differ. */
function refine(merged: MergedLines, region: MergeRegion, work: DiffWork): MergeRegion[] {
  const { ours, theirs } = region;
  if (region.take !== "conflict" || ours.count === 0 || theirs.count === 0) return [region];
  const part = (lines: Lines, { start, count }: { start: number; count: number }): Lines => {
    return { bytes: lines.bytes, starts: lines.starts.subarray(start, start + count + 1), count };
  };
  const edits = diffLines(part(merged.ours, ours), part(merged.theirs, theirs), {
    readable: false,
    work,
  });
  const regions: MergeRegion[] = [];
  for (const edit of edits) {
    const last = regions[regions.length - 1];
    const our = { start: ours.start + edit.oldStart, count: edit.oldCount };
    const their = { start: theirs.start + edit.newStart, count: edit.newCount };
    if (last && our.start - (last.ours.start + last.ours.count) < linesBetweenMin) {
      last.ours.count = our.start + our.count - last.ours.start;
      last.theirs.count = their.start + their.count - last.theirs.start;
      continue;
    }
    regions.push({ take: "conflict", base: region.base, ours: our, theirs: their });
  }
  return regions;
}
