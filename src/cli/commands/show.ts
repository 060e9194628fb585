import { compareSnapshots } from "#client/compare.ts";
import { serverRevision } from "#client/revision.ts";
import { scan } from "#client/working-copy/scan.ts";
import type { Remote } from "#client/remote.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import {
  changeJson,
  count,
  indentedDescription,
  localTime,
  shortName,
  subject,
} from "../change-view.ts";
import { command } from "../command.ts";
import { draftJson, formatDraft } from "../draft-view.ts";
import { fileLine, type FileStatus } from "../file-view.ts";
import type { Style } from "../output.ts";
import { openSession } from "../session.ts";

export const show = command({
  meta: {
    description: "show a change: its description, parents, and the files that it touches",
    examples: ["pogo show", "pogo show main"],
  },
  args: {
    revision: { type: "positional", required: false, valueHint: "REV", description: "which (@)" },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const { workspace, remote, current } = session;
    const revision = serverRevision(current, args.revision ?? "@");
    if (revision === undefined) {
      const { differences } = scan(workspace);
      const files = differences.map(({ path, status }) => ({ path, status }));
      context.print({ ...draftJson(current), files }, (style) => {
        return [formatDraft(current, style), ...files.map((file) => fileLine(file, style))].join(
          "\n",
        );
      });
      return;
    }
    const change = await remote.getChange(revision);
    const files = await touchedFiles(remote, change);
    context.print({ ...changeJson(change), files }, (style) => describe(change, files, style));
  },
});

/** The paths in which a change differs from its first parent. */
async function touchedFiles(remote: Remote, change: Change): Promise<FileStatus[]> {
  const parent = change.parents[0];
  const before = parent
    ? (await remote.getChange(`${parent.change}@${parent.version}`)).tree
    : emptyTreeHash;
  const files: FileStatus[] = [];
  for await (const { path, old, new: next } of compareSnapshots(remote, before, change.tree)) {
    let status: FileStatus["status"] = "modified";
    if (!old) status = "added";
    if (!next) status = "deleted";
    if (next?.kind === "conflict") status = "conflicted";
    files.push({ path, status });
  }
  return files;
}

function describe(change: Change, files: FileStatus[], style: Style): string {
  const bookmarks = change.bookmarks.map((name) => ` ${style.green(name)}`).join("");
  const lines = [
    `change ${shortName(change, style)} ${style.dim(change.name)}${bookmarks}`,
    `author ${change.author}, ${localTime(change.createdAt)}`,
    `version ${change.version}${versionNote(change)}, ${localTime(change.updatedAt)}`,
  ];
  for (const { change: name, prefix, description } of change.parents) {
    lines.push(`parent ${shortName({ name, prefix }, style)} ${subject(description, style)}`);
  }
  if (change.conflicted) lines.push(style.red("it holds conflicts"));
  lines.push("", indentedDescription(change.description, style).trimEnd(), "");
  lines.push(count(files.length, "file") + (files.length > 0 ? ":" : ""));
  for (const file of files) lines.push(fileLine(file, style));
  return lines.join("\n");
}

function versionNote({ version, currentVersion }: Change): string {
  return version === currentVersion ? "" : ` (the change is at ${currentVersion})`;
}
