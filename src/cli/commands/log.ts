import { PogoError } from "#core/errors.ts";
import { formatDraft } from "../draft-view.ts";
import { changeJson, indentedDescription, localTime, shortName } from "../change-view.ts";
import { command } from "../command.ts";
import type { Style } from "../output.ts";
import { positiveInteger } from "../options.ts";
import { openSession, type Session } from "../session.ts";
import { repositoryPath, requireKnownPaths } from "../working-copy.ts";
import { isDraft, serverRevision } from "#client/revision.ts";
import type { Change } from "#gen/pogo/v1/common.ts";

const limitDefault = 20;

export const log = command({
  meta: {
    description:
      "list a change and its ancestors, newest first; a draft is shown to people, not with --json",
    examples: ["pogo log", "pogo log -n 5 src/main.ts", "pogo log -r v1.2.0", "pogo log --all"],
  },
  args: {
    limit: { type: "string", alias: "n", valueHint: "N", description: "at most N changes (20)" },
    revision: { type: "string", alias: "r", valueHint: "REV", description: "start here (@)" },
    all: { type: "boolean", description: "all changes of the repository, not only ancestors" },
  },
  rest: { valueHint: "PATH", description: "only changes that touch these files or directories" },
  async run({ args, rest, context }) {
    if (args.all && args.revision !== undefined) {
      throw new PogoError("usage", "--all lists every change, so --revision says nothing", {
        hint: "pogo log --all",
      });
    }
    await using session = await openSession(context);
    const { workspace, current } = session;
    const limit = positiveInteger(args.limit, "--limit") ?? limitDefault;
    const typed = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    // The root is no path: whatever changed has changed below it.
    const paths = typed.includes("") ? [] : typed;
    const start = serverRevision(current, args.revision ?? "@");
    const query = { start, all: args.all === true, paths, limit: limit + 1 };
    const found = await findChanges(session, query);
    // What was found tells of one path, not of several.
    if (found.length === 0 || paths.length > 1) await requireKnown(session, paths);
    const changes = found.slice(0, limit);
    const showsDraft = isDraft(current) && start === undefined && !rest[0];
    context.print(changes.map(changeJson), (style) => {
      const entries = changes.map((change) => formatEntry(change, current.name, style));
      if (showsDraft) entries.unshift(formatDraft(current, style));
      return entries.join("\n");
    });
    if (found.length > limit && args.limit === undefined) {
      context.note(`\nolder changes are left out: -n ${limit * 5} shows more`);
    }
  },
});

async function findChanges(
  { remote, current }: Session,
  query: { start: string | undefined; all: boolean; paths: string[]; limit: number },
): Promise<Change[]> {
  const { start, all, paths, limit } = query;
  const revisions = start === undefined ? current.parents.map(({ change }) => change) : [start];
  // No revision at all would mean every change.
  if (!all && revisions.length === 0) return [];
  return await Array.fromAsync(
    remote.listChanges({ revisions: all ? [] : revisions, paths, limit }),
  );
}

async function requireKnown({ workspace, remote }: Session, paths: string[]): Promise<void> {
  const has = async (path: string) => {
    const query = { revisions: [], paths: [path], limit: 1 };
    return (await Array.fromAsync(remote.listChanges(query))).length > 0;
  };
  await requireKnownPaths(workspace, paths, { name: "any change", has });
}

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
