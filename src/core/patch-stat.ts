import type { PatchCount } from "./patch.ts";

/** One line of a diff's summary. */
export type PatchStat = PatchCount & { path: string; oldPath?: string | undefined };

const graphMax = 50;

/** Writes a summary as `git diff --stat` does: a line per file, its size as a row of + and -. */
export function formatStat(stats: readonly PatchStat[], widthMax = 80): string {
  const names = stats.map(statName);
  const totals = stats.map(({ added, removed }) => added + removed);
  const numberWidth = Math.max(3, String(Math.max(0, ...totals)).length);
  const longest = Math.max(0, ...names.map((name) => name.length));
  const nameWidth = Math.min(longest, Math.max(20, widthMax - numberWidth - 6 - 20));
  const graphWidth = Math.max(5, Math.min(graphMax, widthMax - nameWidth - numberWidth - 6));
  const most = Math.max(1, ...totals);
  const lines = stats.map((stat, index) => {
    const name = shorten(names[index] ?? "", nameWidth).padEnd(nameWidth);
    if (stat.isBinary) return ` ${name} | ${"Bin".padStart(numberWidth)}\n`;
    const number = String(totals[index]).padStart(numberWidth);
    const scale = most > graphWidth ? graphWidth / most : 1;
    const graph = bar("+", stat.added, scale) + bar("-", stat.removed, scale);
    return ` ${name} | ${number} ${graph}`.trimEnd() + "\n";
  });
  return lines.join("") + summary(stats);
}

function summary(stats: readonly PatchStat[]): string {
  if (stats.length === 0) return "";
  const added = stats.reduce((sum, stat) => sum + stat.added, 0);
  const removed = stats.reduce((sum, stat) => sum + stat.removed, 0);
  const parts = [` ${counted(stats.length, "file")} changed`];
  if (added > 0 || removed === 0) parts.push(`${counted(added, "insertion")}(+)`);
  if (removed > 0 || added === 0) parts.push(`${counted(removed, "deletion")}(-)`);
  return `${parts.join(", ")}\n`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function statName({ path, oldPath }: PatchStat): string {
  return oldPath === undefined || oldPath === path ? path : `${oldPath} => ${path}`;
}

function shorten(name: string, width: number): string {
  return name.length <= width ? name : `...${name.slice(name.length - width + 3)}`;
}

/** At least one mark for whatever is not zero. */
function bar(mark: string, count: number, scale: number): string {
  return count === 0 ? "" : mark.repeat(Math.max(1, Math.round(count * scale)));
}
