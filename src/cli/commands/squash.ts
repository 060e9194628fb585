import { newRequestId } from "#client/remote.ts";
import { PogoError } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { changeLine } from "../change-view.ts";
import { command } from "../command.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { followRewriting, publishAndFind, requireEdits } from "../rewriting-session.ts";
import { conflictHints, rewritingJson, rewritingLines } from "../rewriting-view.ts";
import { repositoryPath } from "../working-copy.ts";

export const squash = command({
  meta: {
    description: "move the edits of a change into another one; one that has none left goes",
    examples: [
      "pogo squash",
      "pogo squash src/main.ts",
      "pogo squash --from kxyz --into main",
      'pogo squash -m "parser: accept empty lists"',
    ],
  },
  args: {
    from: { type: "string", valueHint: "REV", description: "whose edits (@)" },
    into: {
      type: "string",
      valueHint: "REV",
      description: "where to (the parent of @; with --from, @)",
    },
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "describe the result" },
  },
  rest: { valueHint: "PATH", description: "only edits of these files and directories (all)" },
  async run({ args, rest, context }) {
    await using session = await openEditSession(context);
    const paths = rest.map((path) => repositoryPath(session.workspace, context.cwd, path));
    const texts = [args.from ?? "@"];
    if (args.into !== undefined || args.from !== undefined) texts.push(args.into ?? "@");
    const { pushed, changes } = await publishAndFind(session, context, texts);
    const from = requireEdits(changes[0], "squash");
    const into = texts[1] === undefined ? await onlyParent(session, from) : changes[1];
    const target = requireEdits(into, "squash into");
    const rewriting = await session.remote.squashChange({
      requestId: newRequestId(),
      from: from.name,
      into: target.name,
      paths: paths.includes("") ? [] : paths,
      description: args.message,
    });
    const isGone = rewriting.hidden.some(({ name }) => name === from.name);
    await followRewriting(session, context, new Map(isGone ? [[from.name, target.name]] : []));
    const result = await session.remote.getChange(target.name);
    context.report({ ...rewritingJson(rewriting), pushed: pushed.value }, (style) => {
      const lines = [`squashed into ${changeLine(result, style)}`];
      if (!isGone) lines.push(`the other edits stay in ${changeLine(from, style)}`);
      const others = rewriting.changes.filter(({ name }) => name !== from.name);
      const above = rewriting.count - (rewriting.changes.length - others.length) - 1;
      if (above > 0) lines.push(...rewritingLines(rewriting, "rewrote", style));
      lines.push(...conflictHints(rewriting, session.current.name));
      return pushed.text(style) + lines.join("\n");
    });
  },
});

async function onlyParent({ remote }: EditSession, change: Change): Promise<Change> {
  const [first, second] = change.parents;
  if (first && !second) return await remote.getChange(first.change);
  const why = first ? "has several parents" : "has no parent";
  throw new PogoError("usage", `${change.name} ${why}: nothing says what to squash it into`, {
    hint: "pogo squash --into REV",
  });
}
