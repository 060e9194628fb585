/** How a change looks: as JSON, on one line, and in full. */
import type { Change } from "#gen/pogo/v1/common.ts";
import { firstLine, type Style } from "./output.ts";

// Enough letters to tell changes apart by eye; the unique prefix is longer when it must be.
const shownLetters = 8;

/** A change for programs: what `log --json` and `show --json` print. */
export function changeJson(change: Change) {
  return {
    name: change.name,
    prefix: change.prefix,
    description: change.description,
    author: change.author,
    parents: change.parents.map((parent) => parent.change),
    bookmarks: change.bookmarks,
    createdAt: new Date(change.createdAt).toISOString(),
    updatedAt: new Date(change.updatedAt).toISOString(),
    conflicted: change.conflicted,
    sealed: change.sealed,
    version: change.version,
    currentVersion: change.currentVersion,
  };
}

/** A change's name: the letters that are enough to type, then a few more to recognise it. */
export function shortName({ name, prefix }: { name: string; prefix: string }, style: Style) {
  const rest = name.slice(prefix.length, Math.max(shownLetters, prefix.length));
  return style.bold(style.magenta(prefix)) + style.dim(rest);
}

/** First line of a description, or that there is none. */
export function subject(description: string, style: Style): string {
  return description === "" ? style.dim("(no description)") : firstLine(description);
}

/** A change on one line: name, bookmarks, description. */
export function changeLine(change: Change, style: Style): string {
  const bookmarks = change.bookmarks.map((name) => `${style.green(name)} `).join("");
  const conflict = change.conflicted ? `${style.red("conflict")} ` : "";
  return `${shortName(change, style)} ${bookmarks}${conflict}${subject(change.description, style)}`;
}

/** The time of something in the reader's zone, to the minute. */
export function localTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** Description with every line indented, or that there is none. */
export function indentedDescription(description: string, style: Style): string {
  if (description === "") return `    ${style.dim("(no description)")}\n`;
  return description.trimEnd().replace(/^(?=.)/gm, "    ") + "\n";
}

/** "1 file", "3 files". */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
