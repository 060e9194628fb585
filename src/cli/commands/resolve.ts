import { listConflicts, resolveConflict, type Choice } from "#client/resolve.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import { conflictLines, formatConflict } from "../conflict-view.ts";
import { openEditSession } from "../edit-session.ts";
import { pathFilter, repositoryPath } from "../working-copy.ts";

export const resolve = command({
  meta: {
    description: "take one side of conflicts, or list them",
    examples: ["pogo resolve", "pogo resolve logo.png --side kxyz", "pogo resolve --side 1"],
  },
  args: {
    side: { type: "string", valueHint: "SIDE", description: "a side, by its name or number" },
    base: { type: "boolean", description: "what was there before the sides" },
    list: { type: "boolean", alias: "l", description: "only say what is in conflict" },
  },
  rest: { valueHint: "PATH", description: "only these files and directories (all)" },
  async run({ args, rest, context }) {
    await using session = await openEditSession(context);
    const { workspace } = session;
    const paths = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    const isWanted = pathFilter(paths);
    const open = listConflicts(workspace).filter(({ path }) => isWanted(path));
    const choice = readChoice(args.side, args.base === true);
    if (args.list || !choice) {
      if (args.list && choice) throw new PogoError("usage", "--list takes no side");
      if (rest.length > 0 && !args.list) {
        throw new PogoError("usage", "nothing says what to take", {
          hint: "--side NAME or --base; or edit the file, and push",
        });
      }
      return context.print(open, (style) => {
        if (open.length === 0) return "nothing is in conflict";
        return open.map((conflict) => formatConflict(conflict, style)).join("\n");
      });
    }
    if (open.length === 0) throw new PogoError("not-found", "nothing there is in conflict");
    for (const { path } of open) await resolveConflict(session, path, choice);
    const left = listConflicts(workspace).map(({ path }) => path);
    const value = { resolved: open.map(({ path }) => path), conflicts: left };
    context.report(value, (style) => {
      const lines = value.resolved.map((path) => `resolved ${path}`);
      return [...lines, ...conflictLines(left, style)].join("\n");
    });
  },
});

function readChoice(side: string | undefined, isBase: boolean): Choice | undefined {
  if (side !== undefined && isBase)
    throw new PogoError("usage", "--side and --base exclude each other");
  if (isBase) return "base";
  return side === undefined ? undefined : { side };
}
