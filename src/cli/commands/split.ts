import { compareFiles } from "#client/comparison.ts";
import { sendPicks } from "#client/picks.ts";
import { newRequestId } from "#client/remote.ts";
import { PogoError } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { changeJson, changeLine } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { askPicks } from "../pick-prompt.ts";
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
    if (paths.length === 0 && !context.interactive) {
      throw new PogoError("usage", "nothing says what the first of the two is to be", {
        hint: "name files or directories: pogo split PATH",
      });
    }
    const { pushed, changes } = await publishAndFind(session, context, [args.revision ?? "@"]);
    const target = requireEdits(changes[0], "split");
    const tree = paths.length > 0 ? new Uint8Array() : await pickTree(session, context, target);
    const { rewriting, first, second } = await remote.splitChange({
      requestId: newRequestId(),
      revision: target.name,
      paths,
      tree,
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

/** Asks which edits are to come first, and sends the snapshot that they make. */
async function pickTree(
  { workspace, remote, cached }: EditSession,
  context: Context,
  target: Change,
): Promise<Hash> {
  const [parent, second] = target.parents;
  if (second) {
    throw new PogoError("usage", "a merge is split by paths only", { hint: "pogo split PATH" });
  }
  const before = parent
    ? (await remote.getChange(`${parent.change}@${parent.version}`)).tree
    : emptyTreeHash;
  const parts = { workspace, remote: cached };
  const comparison = await compareFiles(parts, before, target.tree, () => true);
  const picks = await askPicks(context, comparison);
  if (picks.length === 0) throw new PogoError("usage", "nothing was picked: nothing is split");
  return await sendPicks(remote, before, picks);
}
