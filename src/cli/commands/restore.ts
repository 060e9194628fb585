import { serverRevision } from "#client/revision.ts";
import { restoreFiles } from "#client/restore.ts";
import { relative } from "node:path";
import { PogoError } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { emptyTreeHash } from "#core/tree.ts";
import { count } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { fileLine } from "../file-view.ts";
import { pathFilter, repositoryPath, requireKnownPaths } from "../working-copy.ts";

type Source = { name: string; revision: string | undefined; tree: Hash };

export const restore = command({
  meta: {
    description: "put files back as they are in another change, as edits; what they were is kept",
    examples: ["pogo restore src/main.ts", "pogo restore --from v1.2.0 docs", "pogo restore"],
  },
  args: {
    from: {
      type: "string",
      valueHint: "REV",
      description: "as in this change or version, such as kxyz@2 (the parent of @)",
    },
  },
  rest: { valueHint: "PATH", description: "only these files and directories (all)" },
  async run({ args, rest, context }) {
    await using session = await openEditSession(context);
    const { workspace, remote } = session;
    const source = await findSource(session, args.from);
    const paths = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    const has = async (path: string) => {
      if (source.revision === undefined) return false;
      return (await remote.findEntry(source.revision, path)) !== undefined;
    };
    await requireKnownPaths(workspace, paths, { name: source.name, has });
    const done = await putBack(context, session, source.tree, pathFilter(paths));
    const files = done?.discard.files ?? [];
    const directory = done ? relative(workspace.root, done.discard.directory) : undefined;
    const value = { files, keptIn: directory ?? null, notTouched: done?.kept ?? [] };
    context.report(value, (style) => {
      if (files.length === 0) return `nothing to restore: it is as in ${source.name}`;
      const lines = files.map((file) => fileLine(file, style));
      lines.unshift(`restored as in ${source.name}, ${count(files.length, "file")} that differed:`);
      lines.push(`what they were is kept in ${directory}`);
      return lines.join("\n");
    });
  },
});

async function putBack(
  context: Context,
  { workspace, cached }: EditSession,
  tree: Hash,
  isWanted: (path: string) => boolean,
) {
  using line = context.progress("restoring");
  return await restoreFiles({ workspace, remote: cached }, tree, isWanted, line);
}

async function findSource(
  { remote, current }: EditSession,
  from: string | undefined,
): Promise<Source> {
  if (from === undefined && current.parents.length > 1) {
    throw new PogoError("usage", "a merge has several parents: nothing says which one to take", {
      hint: "pogo restore --from REV",
    });
  }
  const [parent] = current.parents;
  if (from === undefined && !parent) {
    return { name: "the empty snapshot", revision: undefined, tree: emptyTreeHash };
  }
  const revision =
    from === undefined ? `${parent!.change}@${parent!.version}` : serverRevision(current, from);
  // A draft's files are those of its parent, until they are edited.
  if (revision === undefined) return { name: from!, revision, tree: current.tree };
  const change = await remote.getChange(revision);
  return { name: from ?? change.prefix, revision, tree: change.tree };
}
