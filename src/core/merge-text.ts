/**
 * Three-way merge of texts by lines. What only one side changed is taken from it, what both
 * changed alike is taken once; changes that overlap or touch are a conflict. All bytes come from
 * one of the sides as they are: endings, byte order marks, a missing final newline.
 */
import { newMergeWork } from "./diff-work.ts";
import { diffLines, type Edit } from "./diff.ts";
import { textLinesMax } from "./limits.ts";
import { hasMoreLines, lineRange, splitLines, textEncoding, type Lines } from "./text.ts";

/** A run of lines in one text. */
export type LineRun = { start: number; count: number };

/** A place where the sides differ from the base, and whose lines stand there when merged. */
export type MergeRegion = {
  take: "ours" | "theirs" | "conflict";
  base: LineRun;
  ours: LineRun;
  theirs: LineRun;
};

export type MergedLines = { base: Lines; ours: Lines; theirs: Lines; regions: MergeRegion[] };

/** Merges texts line by line; nothing when one of them is binary or they are encoded unlike. */
export function mergeLines(
  base: Uint8Array,
  ours: Uint8Array,
  theirs: Uint8Array,
): MergedLines | undefined {
  const texts = [base, ours, theirs];
  if (texts.some((text) => hasMoreLines(text, textLinesMax))) return undefined;
  const encodings = new Set(texts.filter((text) => text.length > 0).map(textEncoding));
  const [encoding = "bytes"] = encodings;
  if (encodings.size > 1 || encodings.has(undefined)) return undefined;
  const [baseLines, ourLines, theirLines] = texts.map((text) => splitLines(text, encoding)) as [
    Lines,
    Lines,
    Lines,
  ];
  // Each side has its own bound: which one comes first must not matter.
  const compare = (lines: Lines) => {
    return diffLines(baseLines, lines, { readable: false, work: newMergeWork() });
  };
  const [ourEdits, theirEdits] = [compare(ourLines), compare(theirLines)];
  const merged: MergedLines = { base: baseLines, ours: ourLines, theirs: theirLines, regions: [] };
  mergeEdits(merged, ourEdits, theirEdits);
  for (const region of merged.regions) {
    if (region.take === "conflict" && isSameRun(merged, region.ours, region.theirs)) {
      region.take = "ours";
    }
  }
  return merged;
}

/** Merges texts to one; nothing when there is a conflict or one of them is binary. */
export function mergeTexts(
  base: Uint8Array,
  ours: Uint8Array,
  theirs: Uint8Array,
): Uint8Array | undefined {
  const merged = mergeLines(base, ours, theirs);
  if (!merged || merged.regions.some(({ take }) => take === "conflict")) return undefined;
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const region of merged.regions) {
    parts.push(lineRange(merged.ours, at, region.ours.start));
    parts.push(
      region.take === "theirs"
        ? runBytes(merged.theirs, region.theirs)
        : runBytes(merged.ours, region.ours),
    );
    at = region.ours.start + region.ours.count;
  }
  parts.push(lineRange(merged.ours, at, merged.ours.count));
  return Buffer.concat(parts);
}

/** Bytes of a run of lines. */
export function runBytes(lines: Lines, { start, count }: LineRun): Uint8Array {
  return lineRange(lines, start, start + count);
}

function isSameRun(merged: MergedLines, ours: LineRun, theirs: LineRun): boolean {
  return Buffer.compare(runBytes(merged.ours, ours), runBytes(merged.theirs, theirs)) === 0;
}

function mergeEdits(merged: MergedLines, ours: readonly Edit[], theirs: readonly Edit[]): void {
  const { regions } = merged;
  const baseCount = merged.base.count;
  const ourCount = merged.ours.count;
  const theirCount = merged.theirs.count;
  let atOurs = 0;
  let atTheirs = 0;
  while (atOurs < ours.length || atTheirs < theirs.length) {
    const our = ours[atOurs];
    const their = theirs[atTheirs];
    if (our && (!their || our.oldStart + our.oldCount < their.oldStart)) {
      const shift = their ? their.newStart - their.oldStart : theirCount - baseCount;
      append(regions, {
        take: "ours",
        base: { start: our.oldStart, count: our.oldCount },
        ours: { start: our.newStart, count: our.newCount },
        theirs: { start: our.oldStart + shift, count: our.oldCount },
      });
      atOurs++;
      continue;
    }
    if (their && (!our || their.oldStart + their.oldCount < our.oldStart)) {
      const shift = our ? our.newStart - our.oldStart : ourCount - baseCount;
      append(regions, {
        take: "theirs",
        base: { start: their.oldStart, count: their.oldCount },
        ours: { start: their.oldStart + shift, count: their.oldCount },
        theirs: { start: their.newStart, count: their.newCount },
      });
      atTheirs++;
      continue;
    }
    if (!our || !their) break;
    // A change that both made alike is in either text: there is nothing to decide.
    if (!isSameEdit(merged, our, their)) append(regions, overlap(our, their));
    const ourEnd = our.oldStart + our.oldCount;
    const theirEnd = their.oldStart + their.oldCount;
    if (ourEnd >= theirEnd) atTheirs++;
    if (theirEnd >= ourEnd) atOurs++;
  }
}

function isSameEdit(merged: MergedLines, our: Edit, their: Edit): boolean {
  if (our.oldStart !== their.oldStart || our.oldCount !== their.oldCount) return false;
  const ours = { start: our.newStart, count: our.newCount };
  const theirs = { start: their.newStart, count: their.newCount };
  return ours.count === theirs.count && isSameRun(merged, ours, theirs);
}

/** The region that covers two edits which overlap or touch: each widened to the other's ends. */
function overlap(our: Edit, their: Edit): MergeRegion {
  const start = Math.min(our.oldStart, their.oldStart);
  const end = Math.max(our.oldStart + our.oldCount, their.oldStart + their.oldCount);
  const widen = (edit: Edit): LineRun => {
    const before = edit.oldStart - start;
    const after = end - edit.oldStart - edit.oldCount;
    return { start: edit.newStart - before, count: before + edit.newCount + after };
  };
  const base = { start, count: end - start };
  return { take: "conflict", base, ours: widen(our), theirs: widen(their) };
}

/** Adds a region; one that reaches into the region before it becomes part of that. */
function append(regions: MergeRegion[], region: MergeRegion): void {
  const last = regions[regions.length - 1];
  const isApart =
    !last ||
    (region.ours.start > last.ours.start + last.ours.count &&
      region.theirs.start > last.theirs.start + last.theirs.count);
  if (isApart) {
    regions.push(region);
    return;
  }
  if (last.take !== region.take) last.take = "conflict";
  for (const side of ["base", "ours", "theirs"] as const) {
    last[side].count = region[side].start + region[side].count - last[side].start;
  }
}
