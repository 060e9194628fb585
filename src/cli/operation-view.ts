/** How an operation looks. */
import type { LoggedOperation } from "#client/operations.ts";
import { toHex } from "#core/hash.ts";
import { isChangeName } from "#core/name.ts";
import type { BookmarkEffect, ChangeEffect, Json } from "#core/operation.ts";
import { localTime } from "./change-view.ts";
import type { Style } from "./output.ts";

type Told = Pick<LoggedOperation, "kind" | "details">;

// As in change-view.ts.
const shownLetters = 8;
// See CommitOutcome in the protocol.
const divergedOutcome = 5;

/** An operation for programs. */
export function operationJson(operation: LoggedOperation) {
  const { number, kind, user, createdAt, requestId, details, effects, hash } = operation;
  return {
    number,
    kind,
    user,
    createdAt: new Date(createdAt).toISOString(),
    summary: operationSummary(operation),
    details,
    effects,
    requestId: toHex(requestId),
    hash: toHex(hash),
    undoneBy: operation.undoneBy ?? null,
  };
}

/** What was done, in a few words. */
export function operationSummary({ kind, details }: Told): string {
  const text = (key: string) => String(details[key] ?? "");
  const change = shorten(text("change"));
  const version = `version ${text("version")}`;
  // Names as they were typed, or as clients write them out.
  const asked = (key: string) => {
    const request = details["asked"] as { readonly [key: string]: Json } | undefined;
    const names = [request?.[key] ?? []].flat().map(String);
    return names.map((name) => (isChangeName(name) ? shorten(name) : name)).join(", ");
  };
  switch (kind) {
    case "create-repository":
      return `create the repository ${text("name")}`;
    case "allow-case-collisions":
      return "allow names that differ in case alone";
    case "commit": {
      const isBeside = details["outcome"] === divergedOutcome;
      return `push ${change} (${version}${isBeside ? ", beside what others had pushed" : ""})`;
    }
    case "describe":
      return `describe ${change} (${version})`;
    case "remove-change":
      return `remove ${asked("revision")}`;
    case "rebase":
      return `rebase ${asked("revision")} onto ${asked("destinations")}`;
    case "squash":
      return `squash ${asked("from")} into ${asked("into")}`;
    case "split":
      return `split ${asked("revision")}`;
    case "revert":
      return `revert ${asked("revision")} on top of ${asked("destination")}`;
    case "duplicate":
      return `duplicate ${asked("revisions")}`;
    case "merge-changes":
      return `merge into ${change}`;
    case "sync-bookmark":
      return `sync ${text("bookmark")} with ${change}`;
    case "set-bookmark": {
      const previous = shorten(text("previous"));
      return `bookmark ${text("bookmark")}: ${previous === "" ? "new at" : `${previous} →`} ${change}`;
    }
    case "delete-bookmark":
      return `delete bookmark ${text("bookmark")}, which was at ${change}`;
    case "undo":
      return `undo ${text("undoes")}`;
    case "redo":
      return `redo what ${text("redoes")} undid`;
    case "restore-operation":
      return `restore everything as it was after ${text("restores")}`;
    default:
      return change === "" ? kind : `${kind} ${change}`;
  }
}

/** An operation on one line. */
export function operationLine(operation: LoggedOperation, width: number, style: Style): string {
  const { number, user, createdAt, undoneBy } = operation;
  const head = `${style.bold(String(number).padStart(width))} ${style.dim(localTime(createdAt))}`;
  const undone = undoneBy === undefined ? "" : style.yellow(` (undone by ${undoneBy})`);
  return `${head} ${user} ${operationSummary(operation)}${undone}`;
}

/** An operation with all that it did. */
export function formatOperation(operation: LoggedOperation, style: Style): string {
  const { number, user, createdAt, undoneBy, effects, hash } = operation;
  const undone = undoneBy === undefined ? "" : style.yellow(` (undone by ${undoneBy})`);
  const lines = [
    `operation ${style.bold(String(number))}${undone}`,
    `by ${user}, ${localTime(createdAt)}`,
    style.dim(`hash ${toHex(hash)}`),
    "",
    `    ${operationSummary(operation)}`,
    "",
    ...effects.changes.flatMap((effect) => changeLines(effect, style)),
    ...effects.bookmarks.map((effect) => bookmarkLine(effect, style)),
  ];
  if (effects.changes.length + effects.bookmarks.length === 0) {
    lines.push("it moved no change and no bookmark");
  }
  return lines.join("\n");
}

function changeLines({ change, before, after }: ChangeEffect, style: Style): string[] {
  const lines = [`change ${style.magenta(shorten(change))} ${describeMove(before, after)}`];
  if (before && before.version !== after.version) {
    const [from, to] = [`${change}@${before.version}`, `${change}@${after.version}`];
    lines.push(style.dim(`    pogo diff --from ${from} --to ${to}`));
  } else if (!before) {
    lines.push(style.dim(`    pogo show ${change}@${after.version}`));
  }
  return lines;
}

function describeMove(before: ChangeEffect["before"], after: ChangeEffect["after"]): string {
  if (!before) return `created, version ${after.version}`;
  const parts: string[] = [];
  if (before.version !== after.version) {
    parts.push(`version ${before.version} → version ${after.version}`);
  }
  if (before.hidden !== after.hidden) parts.push(after.hidden ? "hidden" : "visible again");
  return parts.join(", ");
}

function bookmarkLine({ bookmark, before, after }: BookmarkEffect, style: Style): string {
  const name = `bookmark ${style.green(bookmark)}`;
  if (before === null) return `${name} created at ${shorten(after ?? "")}`;
  if (after === null) return `${name} deleted, was at ${shorten(before)}`;
  return `${name} ${shorten(before)} → ${shorten(after)}`;
}

function shorten(name: string): string {
  return name.slice(0, shownLetters);
}
