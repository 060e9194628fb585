/** Asks a person which edits to take, file by file and hunk by hunk. */
import type { ComparedFile, Comparison } from "#client/comparison.ts";
import type { Pick } from "#client/picks.ts";
import { objectBytesMax } from "#core/limits.ts";
import { formatFilePatch, type PatchPair } from "#core/patch.ts";
import { applyHunks, listHunks, type Hunk } from "#core/patch-pick.ts";
import type { Context } from "./context.ts";
import { quoteName } from "./output.ts";
import { paintPatch } from "./patch-view.ts";
import { askLine } from "./prompt.ts";

type Answer = "y" | "n" | "a" | "d" | "q";

const explanation = [
  "y  take this one",
  "n  leave it",
  "a  take this one and all later ones of the file",
  "d  leave this one and all later ones of the file",
  "q  leave this one and everything after it",
].join("\n");

/** Shows every difference and asks about it; says what is to be taken. */
export async function askPicks(context: Context, comparison: Comparison): Promise<Pick[]> {
  const picks: Pick[] = [];
  for await (const { file, pair } of comparison.pairs()) {
    const hunks = canBeParted(file) ? listHunks(pair) : undefined;
    const asked = hunks
      ? await askHunks(context, file, pair, hunks)
      : await askWhole(context, file, pair);
    picks.push(...asked.picks);
    if (asked.isOver) break;
  }
  return picks;
}

type Asked = { picks: Pick[]; isOver: boolean };

async function askWhole(context: Context, file: ComparedFile, pair: PatchPair): Promise<Asked> {
  show(context, formatFilePatch(pair));
  const answer = await ask(context, `take ${quoteName(file.path)}?`);
  const isTaken = answer === "y" || answer === "a";
  return { picks: isTaken ? wholePicks(file) : [], isOver: answer === "q" };
}

async function askHunks(
  context: Context,
  file: ComparedFile,
  pair: PatchPair,
  hunks: readonly Hunk[],
): Promise<Asked> {
  const taken: Hunk[] = [];
  let isOver = false;
  for (const [index, hunk] of hunks.entries()) {
    show(context, hunk.shown);
    const where = `${quoteName(file.path)} (${index + 1} of ${hunks.length})`;
    const answer = await ask(context, `take this hunk of ${where}?`);
    if (answer === "y") taken.push(hunk);
    if (answer === "a") taken.push(...hunks.slice(index));
    isOver = answer === "q";
    if (answer !== "y" && answer !== "n") break;
  }
  if (taken.length === 0) return { picks: [], isOver };
  if (taken.length === hunks.length) return { picks: wholePicks(file), isOver };
  const { path, new: entry } = file;
  return { picks: [{ path, entry, bytes: applyHunks(pair, taken) }], isOver };
}

async function ask(context: Context, question: string): Promise<Answer> {
  for (;;) {
    const typed = await askLine(context, `${question} [y,n,a,d,q,?]`);
    const answer = typed.toLowerCase();
    if (answer === "y" || answer === "n" || answer === "a") return answer;
    if (answer === "d" || answer === "q") return answer;
    context.note(explanation);
  }
}

function show(context: Context, patch: Uint8Array): void {
  const painted = paintPatch(patch, context.style);
  const text = typeof painted === "string" ? painted : Buffer.from(painted).toString();
  context.note(text.trimEnd());
}

/** Of a file that was renamed, one path goes and the other comes. */
function wholePicks({ path, oldPath, old, new: entry }: ComparedFile): Pick[] {
  const picks: Pick[] = [{ path, entry }];
  if (oldPath !== path && old) picks.push({ path: oldPath, entry: undefined });
  return picks;
}

/** What changed more than its text is taken whole or not at all. */
function canBeParted({ path, oldPath, old, new: next }: ComparedFile): boolean {
  if (path !== oldPath || old?.kind !== "file" || next?.kind !== "file") return false;
  const isSmall = old.size <= objectBytesMax && next.size <= objectBytesMax;
  return isSmall && old.executable === next.executable;
}
