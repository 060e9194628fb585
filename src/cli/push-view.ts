/** What a push says: while it runs, when it is done, and when somebody else was faster. */
import type { PushResult } from "#client/push.ts";
import { isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import type { UploadObserver } from "#client/upload.ts";
import type { Difference } from "#client/working-copy/scan.ts";
import { PogoError } from "#core/errors.ts";
import { count, shortName, subject } from "./change-view.ts";
import type { Context } from "./context.ts";
import type { Style } from "./output.ts";
import type { ProgressLine } from "./progress.ts";

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
  };
}

/** A push for people. */
export function pushText(result: PushResult, current: CurrentChange, style: Style): string {
  const name = shortName(current, style);
  const files = count(result.differences.length, "file");
  const title = subject(current.description, style);
  switch (result.outcome) {
    case "created":
      return `pushed ${name} ${title} (${files})`;
    case "child-created": {
      const parent = current.parents[0];
      const sealed = parent
        ? shortName({ name: parent.change, prefix: parent.prefix }, style)
        : "the change";
      return `${sealed} is sealed: pushed your edits as its new child ${name} ${title} (${files})`;
    }
    case "version-added":
      return `pushed ${name} version ${current.version} ${title} (${files})`;
    default:
      return "nothing to push: the working copy is clean";
  }
}

/** Ends the command if the change went elsewhere while it was pushed. */
export function refuseDiverged({ outcome, change, theirs }: PushResult): void {
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
export function uploadProgress(context: Context): Disposable & {
  start(differences: Difference[]): UploadObserver;
} {
  let line: ProgressLine | undefined;
  return {
    start(differences) {
      let [files, bytes] = [0, 0];
      for (const { after } of differences) {
        if (after?.kind !== "file") continue;
        files += 1;
        bytes += after.size;
      }
      line = context.progress("pushing", { files, bytes });
      return line;
    },
    [Symbol.dispose]: () => line?.[Symbol.dispose](),
  };
}
