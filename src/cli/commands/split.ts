import { newRequestId } from "#client/remote.ts";
import { PogoError } from "#core/errors.ts";
import { changeJson, changeLine } from "../change-view.ts";
import { command } from "../command.ts";
import { openEditSession } from "../edit-session.ts";
import { followRewriting, publishAndFind, requireEdits } from "../rewriting-session.ts";
import { conflictHints, rewritingJson, rewritingLines } from "../rewriting-view.ts";
import { repositoryPath } from "../working-copy.ts";

export const split = command({
  meta: {
    description: "make two changes of one: the named edits first, the others on top",
    examples: ["pogo split src/parser.ts", 'pogo split -r kxyz docs -m "docs: the parser"'],
  },
  args: {
    revision: { type: "string", alias: "r", valueHint: "REV", description: "which change (@)" },
    message: {
      type: "string",
      alias: "m",
      valueHint: "TEXT",
      description: "describe the first of the two",
    },
  },
  rest: {
    valueHint: "PATH",
    description: "edits of these files and directories go first (asked for, hunk by hunk)",
  },
  async run({ args, rest, context }) {
    await using session = await openEditSession(context);
    const { workspace, remote } = session;
    const paths = rest.map((path) => repositoryPath(workspace, context.cwd, path));
    if (paths.length === 0) {
      throw new PogoError("usage", "nothing says what the first of the two is to be", {
        hint: "name files or directories: pogo split PATH",
      });
    }
    const { pushed, changes } = await publishAndFind(session, context, [args.revision ?? "@"]);
    const target = requireEdits(changes[0], "split");
    const { rewriting, first, second } = await remote.splitChange({
      requestId: newRequestId(),
      revision: target.name,
      paths,
      tree: new Uint8Array(),
      description: args.message,
    });
    await followRewriting(session, context, new Map([[target.name, second.name]]));
    const value = { first: changeJson(first), second: changeJson(second) };
    context.report({ ...value, ...rewritingJson(rewriting), pushed: pushed.value }, (style) => {
      const lines = [`first   ${changeLine(first, style)}`, `second  ${changeLine(second, style)}`];
      if (rewriting.count > 2) lines.push(...rewritingLines(rewriting, "rewrote", style));
      lines.push(...conflictHints(rewriting, session.current.name));
      return pushed.text(style) + lines.join("\n");
    });
  },
});
