import type { Edit } from "./diff.ts";
import { lineRange, type Lines } from "./text.ts";

const encoder = new TextEncoder();
const newline = 10;
const sectionBytesMax = 80;
const noNewline = encoder.encode("\n\\ No newline at end of file\n");

/** Writes edits as unified hunks with `context` unchanged lines around them. */
export function formatHunks(
  before: Lines,
  after: Lines,
  edits: readonly Edit[],
  context: number,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let section: Uint8Array = new Uint8Array(0);
  let searchedTo = -1;
  for (let index = 0; index < edits.length;) {
    const end = hunkEnd(edits, index, context);
    const hunk = edits.slice(index, end);
    const first = hunk[0]!;
    const lead = Math.min(context, first.oldStart);
    section = findSection(before, first.oldStart - lead - 1, searchedTo) ?? section;
    searchedTo = first.oldStart - lead - 1;
    appendHunk(parts, before, after, hunk, context, section);
    index = end;
  }
  return Buffer.concat(parts);
}

/** Index after the last edit of a hunk: edits whose contexts touch share one. */
export function hunkEnd(edits: readonly Edit[], index: number, context: number): number {
  let end = index + 1;
  for (; end < edits.length; end++) {
    const previous = edits[end - 1]!;
    const gap = edits[end]!.oldStart - (previous.oldStart + previous.oldCount);
    if (gap > context * 2) break;
  }
  return end;
}

function appendHunk(
  parts: Uint8Array[],
  before: Lines,
  after: Lines,
  hunk: readonly Edit[],
  context: number,
  section: Uint8Array,
): void {
  const first = hunk[0]!;
  const last = hunk[hunk.length - 1]!;
  const lead = Math.min(context, first.oldStart);
  const lastEnd = last.oldStart + last.oldCount;
  const trail = Math.min(context, before.count - lastEnd);
  const oldStart = first.oldStart - lead;
  const oldCount = lastEnd + trail - oldStart;
  const newStart = first.newStart - lead;
  const newCount = last.newStart + last.newCount + trail - newStart;
  const header = `@@ -${range(oldStart, oldCount)} +${range(newStart, newCount)} @@`;
  parts.push(encoder.encode(header));
  if (section.length > 0) parts.push(encoder.encode(" "), section);
  parts.push(encoder.encode("\n"));
  let oldAt = oldStart;
  for (const edit of hunk) {
    appendLines(parts, " ", before, oldAt, edit.oldStart);
    oldAt = edit.oldStart + edit.oldCount;
    appendLines(parts, "-", before, edit.oldStart, oldAt);
    appendLines(parts, "+", after, edit.newStart, edit.newStart + edit.newCount);
  }
  appendLines(parts, " ", before, oldAt, oldAt + trail);
}

/** Lines count from one, but an empty range names the line before it. */
function range(start: number, count: number): string {
  const from = count === 0 ? start : start + 1;
  return count === 1 ? `${from}` : `${from},${count}`;
}

function appendLines(
  parts: Uint8Array[],
  mark: string,
  lines: Lines,
  start: number,
  end: number,
): void {
  const markBytes = encoder.encode(mark);
  for (let line = start; line < end; line++) {
    const bytes = lineRange(lines, line, line + 1);
    parts.push(markBytes, bytes);
    if (bytes[bytes.length - 1] !== newline) parts.push(noNewline);
  }
}

/** The nearest line above that looks like the beginning of a function or a section. */
function findSection(lines: Lines, from: number, downTo: number): Uint8Array | undefined {
  for (let line = from; line > downTo && line >= 0; line--) {
    const bytes = lineRange(lines, line, line + 1);
    const byte = bytes[0] ?? 0;
    const isLetter = (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
    if (!isLetter && byte !== 0x5f && byte !== 0x24) continue;
    let length = Math.min(bytes.length, sectionBytesMax);
    while (length > 0 && bytes[length - 1]! <= 0x20) length--;
    return bytes.subarray(0, length);
  }
  return undefined;
}
