import { formatDraft, draftJson } from "../draft-view.ts";
import { changeJson, indentedDescription, localTime, shortName } from "../change-view.ts";
import { command } from "../command.ts";
import type { Style } from "../output.ts";
import { positiveInteger } from "../options.ts";
import { openSession, repositoryPath } from "../session.ts";
import { isDraft, serverRevision } from "#client/revision.ts";
import type { Change } from "#gen/pogo/v1/common.ts";

const limitDefault = 20;

export const log = command({
  meta: {
    description: "list a change and its ancestors, newest first",
    examples: ["pogo log", "pogo log -n 5 src/main.ts", "pogo log -r v1.2.0", "pogo log --all"],
  },
  args: {
    limit: { type: "string", alias: "n", valueHint: "N", description: "at most N changes (20)" },
    revision: { type: "string", alias: "r", valueHint: "REV", description: "start here (@)" },
    all: { type: "boolean", description: "all changes of the repository, not only ancestors" },
  },
  rest: { valueHint: "PATH", description: "only changes that touch these files or directories" },
  async run({ args, rest, context }) {
    await using session = await openSession(context);
    const { remote, workspace, current } = session;
    const limit = positiveInteger(args.limit, "--limit") ?? limitDefault;
    const paths = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    const start = serverRevision(current, args.revision ?? "@");
    const showsDraft = isDraft(current) && (args.all === true || start === undefined) && !rest[0];
    const revisions = start === undefined ? current.parents.map(({ change }) => change) : [start];
    const changes: Change[] = [];
    const isEmpty = !args.all && revisions.length === 0;
    if (!isEmpty) {
      const query = { revisions: args.all ? [] : revisions, paths, limit };
      for await (const change of remote.listChanges(query)) changes.push(change);
    }
    const draft = showsDraft ? [draftJson(current)] : [];
    const values = [...draft, ...changes.map(changeJson)].slice(0, limit);
    context.print(values, (style) => {
      const entries = changes.map((change) => formatEntry(change, current.name, style));
      if (showsDraft) entries.unshift(formatDraft(current, style));
      return entries.slice(0, limit).join("\n");
    });
  },
});

function formatEntry(change: Change, currentName: string, style: Style): string {
  const mark = change.name === currentName ? style.bold(style.green("@")) : "○";
  const bookmarks = change.bookmarks.map((name) => ` ${style.green(name)}`).join("");
  const conflict = change.conflicted ? ` ${style.red("conflict")}` : "";
  const others =
    change.parents.length > 1 ? ` ${style.dim(`(${change.parents.length} parents)`)}` : "";
  const time = style.dim(localTime(change.updatedAt));
  const head = `${mark} ${shortName(change, style)} ${change.author} ${time}`;
  return `${head}${bookmarks}${conflict}${others}\n${indentedDescription(change.description, style)}`;
}
