/** What undo, redo and restore say, and how the working copy follows them. */
import { isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import { followOperation, type Followed, type Undone } from "#client/undo.ts";
import { restoreDiscard } from "#client/working-copy/restore-discard.ts";
import type { Discard } from "#client/working-copy/discard.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { relative } from "node:path";
import { count, shortName, subject } from "./change-view.ts";
import type { Context } from "./context.ts";
import type { EditSession } from "./edit-session.ts";
import { fileLine } from "./file-view.ts";
import { operationSummary } from "./operation-view.ts";
import type { Style } from "./output.ts";

/** Lets the working copy follow what was done on the server, and says what became of both. */
export async function reportUndone(
  session: EditSession,
  context: Context,
  undone: Undone,
  title: string,
): Promise<void> {
  const followed = await follow(session, context, undone);
  if (followed.how !== "blocked") await session.refresh();
  const { operation, subject: about } = undone;
  const { current } = session;
  const value = {
    operation: operation.number,
    undone: about ? { number: about.number, kind: about.kind, user: about.user } : null,
    discard: null,
    workingCopy: followed.how,
    change: { name: current.name, version: current.version, draft: isDraft(current) },
  };
  context.report(value, (style) => {
    const where = describeFollowed(followed, current, style);
    return where === undefined ? title : `${title}\n${where}`;
  });
  if (followed.how === "switched" && followed.left.length > 0) {
    const paths = followed.left.join(", ");
    context.warn(`files that were changed meanwhile were left: ${paths}`, "pogo status");
  }
  if (followed.how !== "blocked") return;
  const { target, cause } = followed;
  const parent = target.parents[0];
  const next =
    isDraft(target) && parent ? `pogo new ${parent.prefix}` : `pogo edit ${target.prefix}`;
  context.warn(
    `the working copy stays where it was, at ${current.prefix}@${current.version}: ${cause.message}`,
    `move them away or discard them (pogo undo brings them back), then ${next}`,
  );
}

/** What was undone or redone, for people. */
export function subjectText({ subject: about }: Undone): string {
  if (!about) return "";
  return `operation ${about.number} (${about.user}): ${operationSummary(about)}`;
}

/** Brings back what was discarded, or what took its place, and says so. */
export function reportRestored(
  session: EditSession,
  context: Context,
  discard: Discard,
  kind: "undo" | "redo",
): void {
  const { workspace } = session;
  const { replaced, kept, ...restored } = restoreDiscard(workspace, discard, kind);
  const files = restored.files.map(({ path, status }) => ({ path, status }));
  const keptIn = relative(workspace.root, replaced.directory);
  const value = {
    operation: null,
    undone: null,
    discard: { files, keptIn },
    workingCopy: "stayed",
    change: null,
  };
  context.report(value, (style) => {
    const verb = kind === "undo" ? "brought back" : "discarded again";
    const lines = files.map((file) => fileLine(file, style));
    lines.unshift(`${verb} ${count(files.length, "change")}:`);
    lines.push(`what stood there instead is kept in ${keptIn}`);
    return lines.join("\n");
  });
  if (kept.length === 0) return;
  const from = relative(workspace.root, discard.directory);
  const message = `something was in the way at ${kept.join(", ")}: what was kept is still in ${from}`;
  context.warn(message, "pogo status");
}

/** The failure of a server that cannot be asked while there is something that needs none. */
export function withoutServer(error: unknown, discard: Discard | undefined, verb: string): unknown {
  if (!isPogoError(error, "unavailable") || !discard) return error;
  return new PogoError("unavailable", error.message, {
    hint: `without the server, pogo ${verb} --discard does so with what was discarded last`,
    cause: error,
  });
}

async function follow(session: EditSession, context: Context, undone: Undone): Promise<Followed> {
  using line = context.progress("checking out");
  return await followOperation(session, undone, line);
}

function describeFollowed(
  { how }: Followed,
  current: CurrentChange,
  style: Style,
): string | undefined {
  if (how === "stayed" || how === "blocked") return undefined;
  const name = shortName(current, style);
  const title = subject(current.description, style);
  const where = isDraft(current)
    ? `now at the new draft ${name} ${title}`
    : `now at ${name} version ${current.version} ${title}`;
  return how === "kept" ? `${where}, with your files as they were` : where;
}
