/** Single hunks of the difference of two texts, to take some of them and leave the others. */
import type { Edit } from "./diff.ts";
import { comparedLines, type PatchPair } from "./patch.ts";
import { formatHunks, hunkEnd } from "./patch-hunk.ts";
import { lineRange } from "./text.ts";

/** A hunk as it is shown, and what it does. */
export type Hunk = { edits: Edit[]; shown: Uint8Array };

const context = 3;

/** Lists the hunks of a file that both sides have; nothing if it is not compared by lines. */
export function listHunks(pair: PatchPair): Hunk[] | undefined {
  const compared = pair.old && pair.new && comparedLines(pair);
  if (!compared) return undefined;
  const { before, after, edits } = compared;
  const hunks: Hunk[] = [];
  for (let index = 0; index < edits.length;) {
    const end = hunkEnd(edits, index, context);
    const own = edits.slice(index, end);
    hunks.push({ edits: own, shown: formatHunks(before, after, own, context) });
    index = end;
  }
  return hunks;
}

/** Makes the old text with some of its hunks done, which come in order. */
export function applyHunks(pair: PatchPair, hunks: readonly Hunk[]): Uint8Array {
  const compared = comparedLines(pair);
  if (!compared) throw new Error("what has hunks is compared by lines");
  const { before, after } = compared;
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { oldStart, oldCount, newStart, newCount } of hunks.flatMap(({ edits }) => edits)) {
    pieces.push(lineRange(before, at, oldStart), lineRange(after, newStart, newStart + newCount));
    at = oldStart + oldCount;
  }
  pieces.push(lineRange(before, at, before.count));
  return new Uint8Array(Buffer.concat(pieces));
}
