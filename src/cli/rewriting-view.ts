/** What commands say of history that was rewritten. */
import type { Rewriting } from "#gen/pogo/v1/history.ts";
import { changeJson, changeLine, count } from "./change-view.ts";
import type { Style } from "./output.ts";

const changesShown = 20;

/** A rewriting for programs; of very many changes, the first. */
export function rewritingJson({ changes, count: all, conflicted, hidden, bookmarks }: Rewriting) {
  return {
    count: all,
    conflicted,
    changes: changes.map(changeJson),
    hidden: hidden.map(changeJson),
    bookmarks,
  };
}

/** The changes that were rewritten, under a line that says what was done to them. */
export function rewritingLines(rewriting: Rewriting, verb: string, style: Style): string[] {
  const { changes, count: all } = rewriting;
  const lines = [`${verb} ${count(all, "change")}${all > 0 ? ":" : ""}`];
  for (const change of changes.slice(0, changesShown)) lines.push(`  ${changeLine(change, style)}`);
  if (all > changesShown) lines.push(`  and ${all - changesShown} more`);
  return lines;
}

/** What to type next if changes are in conflict; nothing if none is. */
export function conflictHints({ changes, conflicted }: Rewriting, current: string): string[] {
  if (conflicted === 0) return [];
  const first = changes.find((change) => change.conflicted);
  const lines = [
    `${count(conflicted, "change")} in conflict: nothing is lost, resolve it when you like`,
  ];
  const isHere = !first || first.name === current;
  // What stands on it gets the resolution only if the change itself does.
  const push = first?.sealed ? "pogo push --rewrite" : "pogo push";
  const list = "pogo resolve --list";
  if (!isHere) lines.push(`go there: pogo edit ${first.prefix}; see ${list}; then ${push}`);
  else lines.push(`see what is in conflict: ${list}; then ${push}`);
  return lines;
}
