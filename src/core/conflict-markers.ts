/**
 * Conflicts of two texts as one text with markers, for people to edit:
 *
 *   <<<<<<< ours      the one side's lines
 *   ||||||| base      what both began with
 *   =======           the other side's lines
 *   >>>>>>> theirs
 *
 * The markers are longer than any in the texts, so a file about markers is no conflict.
 */
import { diffLines } from "./diff.ts";
import { mergeLines, runBytes, type MergedLines, type MergeRegion } from "./merge-text.ts";
import { lineRange, splitLines, textEncoding, type Lines, type TextEncoding } from "./text.ts";

export type ConflictTexts = { base: Uint8Array; ours: Uint8Array; theirs: Uint8Array };
export type ConflictLabels = { base: string; ours: string; theirs: string };

/** A text with markers, and how long each is. */
export type MarkedText = { bytes: Uint8Array; markerLength: number };

const markerLengthMin = 7;
const noNewline = " (no newline at end of file)";
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
  const markerLength = markerLengthFor([merged.base, merged.ours, merged.theirs]);
  const regions = showBase ? merged.regions : merged.regions.flatMap((r) => refine(merged, r));
  const writer = new MarkerWriter(merged, labels, markerLength, showBase);
  for (const region of regions) writer.addRegion(region);
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

function markerLengthFor(texts: Lines[]): number {
  let longest = 0;
  for (const lines of texts) {
    const unit = unitBytes(textEncoding(lines.bytes) ?? "bytes");
    for (let line = 0; line < lines.count; line++) {
      longest = Math.max(longest, markerRun(lines, line, unit));
    }
  }
  return longest < markerLengthMin ? markerLengthMin : longest + 1;
}

/** How often a line repeats the marker that it begins with. */
function markerRun(lines: Lines, line: number, unit: number): number {
  const bytes = lineRange(lines, line, line + 1);
  const at = (index: number) => {
    const code = bytes.subarray(index * unit, (index + 1) * unit);
    return code.length === unit ? Math.max(...code) : 0;
  };
  const first = at(0);
  if (!"<|=>".includes(String.fromCharCode(first))) return 0;
  let count = 1;
  while (at(count) === first) count++;
  return count;
}

function unitBytes(encoding: TextEncoding): number {
  if (encoding === "bytes") return 1;
  return encoding.startsWith("utf-16") ? 2 : 4;
}

/** Narrows a conflict to the lines in which its two sides differ. */
function refine(merged: MergedLines, region: MergeRegion): MergeRegion[] {
  const { ours, theirs } = region;
  if (region.take !== "conflict" || ours.count === 0 || theirs.count === 0) return [region];
  const part = (lines: Lines, { start, count }: { start: number; count: number }): Lines => {
    return { bytes: lines.bytes, starts: lines.starts.subarray(start, start + count + 1), count };
  };
  const edits = diffLines(part(merged.ours, ours), part(merged.theirs, theirs), {
    readable: false,
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

class MarkerWriter {
  readonly #merged: MergedLines;
  readonly #labels: ConflictLabels;
  readonly #length: number;
  readonly #showBase: boolean;
  readonly #encoding: TextEncoding;
  readonly #newline: string;
  readonly #parts: Uint8Array[] = [];
  #at = 0;

  constructor(merged: MergedLines, labels: ConflictLabels, length: number, showBase: boolean) {
    this.#merged = merged;
    this.#labels = labels;
    this.#length = length;
    this.#showBase = showBase;
    const sample = [merged.ours, merged.theirs, merged.base].find(({ count }) => count > 0);
    this.#encoding = (sample && textEncoding(sample.bytes)) ?? "bytes";
    // Markers end as the lines around them do.
    const unit = unitBytes(this.#encoding);
    const first = sample ? lineRange(sample, 0, 1) : new Uint8Array(0);
    const ending = first.subarray(first.length - 2 * unit, first.length - unit);
    this.#newline = Math.max(0, ...ending) === 13 ? "\r\n" : "\n";
  }

  addRegion(region: MergeRegion): void {
    const { ours, theirs, base } = this.#merged;
    this.#parts.push(lineRange(ours, this.#at, region.ours.start));
    this.#at = region.ours.start + region.ours.count;
    if (region.take === "ours") this.#parts.push(runBytes(ours, region.ours));
    if (region.take === "theirs") this.#parts.push(runBytes(theirs, region.theirs));
    if (region.take !== "conflict") return;
    this.#side("<", this.#labels.ours, runBytes(ours, region.ours), ours);
    if (this.#showBase) this.#side("|", this.#labels.base, runBytes(base, region.base), base);
    this.#side("=", "", runBytes(theirs, region.theirs), theirs);
    this.#marker(">", this.#labels.theirs);
  }

  finish(): Uint8Array {
    const { ours } = this.#merged;
    this.#parts.push(lineRange(ours, this.#at, ours.count));
    return Buffer.concat(this.#parts);
  }

  #side(mark: string, label: string, bytes: Uint8Array, lines: Lines): void {
    const end = bytes.byteOffset + bytes.length - lines.bytes.byteOffset;
    const isLast = bytes.length > 0 && end === lines.bytes.length;
    const isOpen = isLast && !this.#endsInNewline(bytes);
    this.#marker(mark, isOpen ? label + noNewline : label);
    this.#parts.push(bytes);
    if (isOpen) this.#parts.push(encodeText(this.#newline, this.#encoding));
  }

  #marker(mark: string, label: string): void {
    const text = `${mark.repeat(this.#length)}${label === "" ? "" : ` ${label.trim()}`}`;
    this.#parts.push(encodeText(text + this.#newline, this.#encoding));
  }

  #endsInNewline(bytes: Uint8Array): boolean {
    const newline = encodeText("\n", this.#encoding);
    return Buffer.compare(bytes.subarray(-newline.length), newline) === 0;
  }
}

function encodeText(text: string, encoding: TextEncoding): Uint8Array {
  const unit = unitBytes(encoding);
  if (unit === 1) return new TextEncoder().encode(text);
  if (unit === 2) {
    const bytes = Buffer.from(text, "utf16le");
    return encoding === "utf-16be" ? bytes.swap16() : bytes;
  }
  const bytes = Buffer.from(Uint32Array.from(text, (letter) => letter.codePointAt(0)!).buffer);
  return encoding === "utf-32be" ? bytes.swap32() : bytes;
}
