/** What a push says: while it runs, when it is done, and when somebody else was faster. */
import { finishPendingPush, push, type PushOptions, type PushResult } from "#client/push.ts";
import { isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import type { UploadFile, UploadObserver } from "#client/upload.ts";
import { PogoError } from "#core/errors.ts";
import { count, shortName, subject } from "./change-view.ts";
import type { Context } from "./context.ts";
import type { Style } from "./output.ts";
import type { ProgressLine } from "./progress.ts";
import { rewritingJson } from "./rewriting-view.ts";
import type { Session } from "./session.ts";

/** Publishes the working copy and shows how it goes. If others were faster the command ends. */
export async function publish(
  session: Session,
  context: Context,
  options: Omit<PushOptions, "observer"> = {},
): Promise<PushResult> {
  using progress = uploadProgress(context);
  const result = await push(session, { ...options, observer: progress.start });
  refuseDiverged(result);
  return result;
}

/** Hears the answer to a push that was sent and not answered, for a command that does not push. */
export async function finishPush(session: Session): Promise<void> {
  const finished = await finishPendingPush(session);
  if (finished) refuseDiverged(finished);
}

/** A push for programs. */
export function pushJson(result: PushResult, current: CurrentChange) {
  const files = result.differences.map(({ path, status }) => ({ path, status }));
  return {
    outcome: result.outcome,
    change: current.name,
    prefix: current.prefix,
    version: current.version,
    draft: isDraft(current),
    files,
    sent: result.sent,
    ...(result.rewriting && { rewriting: rewritingJson(result.rewriting) }),
    ...(result.repaired && { repaired: result.repaired }),
  };
}

/** A push for people, by the verb that they typed. */
export function pushText(
  result: PushResult,
  current: CurrentChange,
  style: Style,
  verb: "pushed" | "committed" = "pushed",
): string {
  const { outcome, differences } = result;
  const name = shortName(current, style);
  const files = differences.length === 0 ? "no files" : count(differences.length, "file");
  const title = subject(current.description, style);
  const parent = current.parents[0];
  const below = parent && shortName({ name: parent.change, prefix: parent.prefix }, style);
  if (result.isMoved) {
    const where = below === undefined ? "" : ` on ${below}`;
    return `${verb} ${name} ${title} (${files})${where}: what it was made on is gone`;
  }
  switch (outcome) {
    case "created":
      return `${verb} ${name} ${title} (${files})`;
    case "child-created": {
      const sealed = below ?? "the change";
      return `${sealed} is sealed: ${verb} your edits as its new child ${name} ${title} (${files})`;
    }
    case "rewritten": {
      const above = (result.rewriting?.count ?? 1) - 1;
      const follow = above > 0 ? `; ${count(above, "change")} above it followed` : "";
      return `rewrote ${name} as version ${current.version} ${title} (${files})${follow}`;
    }
    case "version-added":
      return `${verb} ${name} version ${current.version} ${title} (${files})`;
    default:
      return verb === "pushed"
        ? "nothing to push: the working copy is clean"
        : `committed ${name} ${title} (published before)`;
  }
}

/** What a push says of what it was to repair. */
export function repairText({ repaired }: PushResult): string {
  if (!repaired) return "";
  if (repaired.objects === 0) return "the server has all of these files, as far as it knows\n";
  return `the server had lost ${count(repaired.objects, "object")}: sent again\n`;
}

/** What a command says of the push that it began with; nothing if there was nothing to push. */
export function pushedBefore(
  result: PushResult,
  current: CurrentChange,
): { value: ReturnType<typeof pushJson> | null; text: (style: Style) => string } {
  if (result.outcome === "unchanged") return { value: null, text: () => "" };
  return {
    value: pushJson(result, current),
    text: (style) => `${pushText(result, current, style)}\n`,
  };
}

/** Ends the command if the change went elsewhere while it was pushed. */
function refuseDiverged({
  outcome,
  change,
  theirs,
}: Pick<PushResult, "outcome" | "change" | "theirs">): void {
  if (outcome !== "diverged" || !change || !theirs) return;
  const { name, prefix, version } = change;
  const other = `${prefix}@${theirs.version}`;
  const own = `${prefix}@${version}`;
  const who = theirs.versionAuthor || theirs.author;
  throw new PogoError(
    "conflict",
    `${who} has pushed ${name} since: it is at version ${theirs.version}, and yours is kept as version ${version}`,
    {
      hint:
        `pogo diff --from ${other} --to ${own} shows the difference; ` +
        `pogo edit ${prefix} goes on from theirs, pogo new from yours`,
    },
  );
}

/** Shows an upload's progress from when it is known what there is to send. */
function uploadProgress(context: Context): Disposable & {
  start(files: readonly UploadFile[]): UploadObserver;
} {
  let line: ProgressLine | undefined;
  return {
    start(files) {
      line?.[Symbol.dispose]();
      const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
      line = context.progress("pushing", { files: files.length, bytes });
      return line;
    },
    [Symbol.dispose]: () => line?.[Symbol.dispose](),
  };
}
