import { listConflicts, resolveConflict, type Choice, type OpenConflict } from "#client/resolve.ts";
import { openTextMerge, textMergeProblem } from "#client/text-merge.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import { conflictLines, formatConflict } from "../conflict-view.ts";
import type { Context } from "../context.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { checkTerminal, findMergeTool, isKnownTool, runMergeTool } from "../merge-tool.ts";
import { pathFilter, repositoryPath } from "../working-copy.ts";

export const resolve = command({
  meta: {
    description: "take one side of conflicts, merge them with a tool, or list them",
    examples: [
      "pogo resolve",
      "pogo resolve logo.png --side kxyz",
      "pogo resolve --side 1",
      "pogo resolve --tool",
      "pogo resolve --tool meld src/parser.ts",
      `POGO_MERGE_TOOL='mytool "$BASE" "$LOCAL" "$REMOTE" -o "$MERGED"' pogo resolve --tool`,
    ],
  },
  args: {
    side: { type: "string", valueHint: "SIDE", description: "a side, by its name or number" },
    base: { type: "boolean", description: "what was there before the sides" },
    tool: {
      type: "boolean",
      alias: "t",
      description:
        "open each text in a merge tool: the one named before the paths (vimdiff, meld, vscode, …)" +
        " or in POGO_MERGE_TOOL, there also a command line with $BASE, $LOCAL, $REMOTE, $MERGED",
    },
    list: { type: "boolean", alias: "l", description: "only say what is in conflict" },
  },
  rest: { valueHint: "PATH", description: "only these files and directories (all)" },
  async run({ args, rest, context }) {
    const choice = readChoice(args.side, args.base === true);
    const given = [args.list === true, args.tool === true, choice !== undefined];
    if (given.filter(Boolean).length > 1) {
      throw new PogoError("usage", "--list, --tool and a side exclude each other");
    }
    await using session = await openEditSession(context);
    const { workspace } = session;
    const [toolName, typed] = args.tool ? splitTool(session, rest) : [undefined, rest];
    const isWanted = pathFilter(typed.map((path) => repositoryPath(workspace, context.cwd, path)));
    const open = listConflicts(workspace).filter(({ path }) => isWanted(path));
    if (args.list || (!choice && !args.tool)) {
      if (rest.length > 0 && !args.list) {
        throw new PogoError("usage", "nothing says what to take", {
          hint: "--side NAME, --base or --tool; or edit the file, and push",
        });
      }
      return context.print(open, (style) => {
        if (open.length === 0) return "nothing is in conflict";
        return open.map((conflict) => formatConflict(conflict, style)).join("\n");
      });
    }
    if (open.length === 0) throw new PogoError("not-found", "nothing there is in conflict");
    if (!choice) return await mergeTexts(session, context, open, toolName, typed.length > 0);
    for (const { path } of open) await resolveConflict(session, path, choice);
    const paths = open.map(({ path }) => path);
    reportResolved(session, context, paths);
  },
});

function readChoice(side: string | undefined, isBase: boolean): Choice | undefined {
  if (side !== undefined && isBase)
    throw new PogoError("usage", "--side and --base exclude each other");
  if (isBase) return "base";
  return side === undefined ? undefined : { side };
}

/** The first word may be a tool's name, unless a file of that name is in conflict. */
function splitTool(
  { workspace }: EditSession,
  words: readonly string[],
): [string | undefined, readonly string[]] {
  const [first, ...rest] = words;
  if (first === undefined || !isKnownTool(first)) return [undefined, words];
  const isPath = listConflicts(workspace).some(({ path }) => path.split("/")[0] === first);
  return isPath ? [undefined, words] : [first, rest];
}

/** Opens one text after another in a merge tool; the first failure ends it. */
async function mergeTexts(
  session: EditSession,
  context: Context,
  open: readonly OpenConflict[],
  toolName: string | undefined,
  isNamed: boolean,
): Promise<void> {
  const tool = findMergeTool(context, toolName);
  checkTerminal(context, tool);
  const problems = open.map(({ path }) => textMergeProblem(session.workspace, path));
  const first = problems.find((problem) => problem !== undefined);
  if (first && (isNamed || problems.every((problem) => problem !== undefined))) {
    throw new PogoError("usage", first.problem, { hint: first.hint });
  }
  const resolved: string[] = [];
  for (const [index, { path }] of open.entries()) {
    const problem = problems[index];
    if (problem) {
      context.warn(problem.problem, problem.hint);
      continue;
    }
    using merge = await openTextMerge(session, path);
    await runMergeTool(context, tool, merge.files);
    if (merge.take() === "resolved") resolved.push(path);
  }
  reportResolved(session, context, resolved);
}

function reportResolved(
  { workspace }: EditSession,
  context: Context,
  resolved: readonly string[],
): void {
  const left = listConflicts(workspace).map(({ path }) => path);
  context.report({ resolved, conflicts: left }, (style) => {
    const lines = resolved.map((path) => `resolved ${path}`);
    return [...lines, ...conflictLines(left, style)].join("\n");
  });
}
