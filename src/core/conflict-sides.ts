/**
 * Conflicts of more than two texts as one text with markers. Every side is named where it begins,
 * and before each but the first stands one of the bases:
 *
 *   <<<<<<< one       the first side's lines
 *   ||||||| base 1    what a side began with
 *   ======= two       the second side's lines
 *   ||||||| base 2
 *   ======= three
 *   >>>>>>> 3 sides
 *
 * Where no more than two of the sides disagree, only these stand there, as in conflict-markers.ts.
 */
import { markerLengthFor, MarkerWriter } from "./conflict-marker-writer.ts";
import type { MarkedText } from "./conflict-markers.ts";
import { newMergeWork } from "./diff-work.ts";
import { diffLines, type Edit } from "./diff.ts";
import { textLinesMax } from "./limits.ts";
import { hasMoreLines, lineRange, splitLines, textEncoding, type Lines } from "./text.ts";

export type LabelledText = { label: string; bytes: Uint8Array };

/** A side or a base, and in what it differs from the text that all are compared with. */
type Term = { label: string; lines: Lines; edits: Edit[] };

/** What a term has at one place. */
type Part = { term: Term; bytes: Uint8Array };

/** Writes all sides as one text with markers; nothing when they are no texts of one encoding. */
export function markSides(
  sides: readonly LabelledText[],
  bases: readonly LabelledText[],
): MarkedText | undefined {
  const texts = [...sides, ...bases].map(({ bytes }) => bytes);
  if (texts.some((text) => hasMoreLines(text, textLinesMax))) return undefined;
  const encodings = new Set(texts.filter((text) => text.length > 0).map(textEncoding));
  const [encoding = "bytes"] = encodings;
  if (encodings.size > 1 || encodings.has(undefined)) return undefined;
  const common = bases.find(({ bytes }) => bytes.length > 0) ?? bases[0];
  if (!common) return undefined;
  const reference = splitLines(common.bytes, encoding);
  const work = newMergeWork();
  const read = ({ label, bytes }: LabelledText): Term => {
    const lines = splitLines(bytes, encoding);
    return { label, lines, edits: diffLines(reference, lines, { readable: false, work }) };
  };
  const terms = { sides: sides.map(read), bases: bases.map(read) };
  const all = [...terms.sides, ...terms.bases];
  const markerLength = markerLengthFor(all.map(({ lines }) => lines));
  const writer = new MarkerWriter(
    all.map(({ lines }) => lines),
    markerLength,
  );
  let at = 0;
  for (const place of findPlaces(all)) {
    writer.addLines(lineRange(reference, at, place.start));
    at = place.end;
    writePlace(writer, terms.sides.map(cut(place)), terms.bases.map(cut(place)));
  }
  writer.addLines(lineRange(reference, at, reference.count));
  return { bytes: writer.finish(), markerLength };
}

/** Lines of the reference that some term has otherwise. */
type Place = { start: number; end: number };

function findPlaces(terms: readonly Term[]): Place[] {
  const edits = terms.flatMap((term) => term.edits);
  edits.sort((a, b) => a.oldStart - b.oldStart);
  const places: Place[] = [];
  for (const { oldStart: start, oldCount } of edits) {
    const last = places[places.length - 1];
    // Those that touch belong together: which comes first could not be told.
    if (last && start <= last.end) last.end = Math.max(last.end, start + oldCount);
    else places.push({ start, end: start + oldCount });
  }
  return places;
}

/** Finds a place's lines in a term. Places must be asked for in order. */
function cut({ start, end }: Place): (term: Term) => Part {
  return (term) => {
    const { lines, edits } = term;
    const before = shiftAt(edits, (edit) => edit.oldStart + edit.oldCount < start);
    const within = shiftAt(edits, (edit) => edit.oldStart <= end);
    return { term, bytes: lineRange(lines, start + before, end + within) };
  };
}

/** How many lines longer a term is after the last edit for which something holds. */
function shiftAt(edits: readonly Edit[], holds: (edit: Edit) => boolean): number {
  let low = 0;
  let high = edits.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(edits[middle]!)) low = middle + 1;
    else high = middle;
  }
  const edit = edits[low - 1];
  return edit ? edit.newStart + edit.newCount - edit.oldStart - edit.oldCount : 0;
}

function writePlace(writer: MarkerWriter, sides: Part[], bases: Part[]): void {
  const isSame = (a: Part, b: Part) => Buffer.compare(a.bytes, b.bytes) === 0;
  for (let at = 0; at < bases.length;) {
    const side = sides.findIndex((part) => isSame(part, bases[at]!));
    if (side < 0) {
      at++;
      continue;
    }
    sides.splice(side, 1);
    bases.splice(at, 1);
  }
  const [first, ...more] = sides;
  if (!first) return;
  if (more.every((part) => isSame(part, first))) return writer.addLines(first.bytes);
  writer.addPart("<", first.term.label, first.bytes, first.term.lines);
  for (const [index, { term, bytes }] of more.entries()) {
    const base = bases[index]!;
    writer.addPart("|", base.term.label, base.bytes, base.term.lines);
    writer.addPart("=", more.length > 1 ? term.label : "", bytes, term.lines);
  }
  writer.addMarker(">", more.length > 1 ? `${sides.length} sides` : more[0]!.term.label);
}
