import { discard as discardFiles } from "#client/working-copy/discard.ts";
import { remoteObjects } from "#client/switch.ts";
import { scan } from "#client/working-copy/scan.ts";
import type { Workspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { count } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { fileLine } from "../file-view.ts";
import { pathFilter, repositoryPath } from "../working-copy.ts";

export const discard = command({
  meta: {
    description:
      "put files back as in the change, or as in a draft's parent; what they were is kept",
    examples: ["pogo discard src/main.ts", "pogo discard"],
  },
  rest: { valueHint: "PATH", description: "only these files and directories (all)" },
  async run({ rest, context }) {
    await using session = await openEditSession(context);
    const { workspace } = session;
    const paths = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    checkThere(workspace, paths);
    const done = await restore(context, session, pathFilter(paths));
    const files = (done?.discard.files ?? []).map(({ path, status }) => ({ path, status }));
    const directory = done ? relative(workspace.root, done.discard.directory) : undefined;
    const value = { files, keptIn: directory ?? null, notTouched: done?.kept ?? [] };
    context.report(value, (style) => {
      if (files.length === 0) return "nothing to discard";
      const lines = files.map((file) => fileLine(file, style));
      lines.unshift(`discarded ${count(files.length, "change")}:`);
      lines.push(`what they were is kept in ${directory}: pogo undo brings it back`);
      return lines.join("\n");
    });
  },
});

/** Refuses a path that is neither there nor gone: it is mistyped. */
function checkThere(workspace: Workspace, paths: readonly string[]): void {
  const missing = paths.filter((path) => !existsSync(join(workspace.root, path)));
  if (missing.length === 0) return;
  const { differences } = scan(workspace);
  for (const path of missing) {
    const isWanted = pathFilter([path]);
    if (differences.some((difference) => isWanted(difference.path))) continue;
    throw new PogoError("not-found", `there is no ${JSON.stringify(path)}, nor was there`, {
      hint: "pogo status",
    });
  }
}

async function restore(
  context: Context,
  { workspace, cached }: EditSession,
  isWanted: (path: string) => boolean,
) {
  using line = context.progress("restoring");
  return await discardFiles({ workspace, fetch: remoteObjects(cached) }, isWanted, line);
}
