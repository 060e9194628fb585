import { newRequestId } from "#client/remote.ts";
import { command } from "../command.ts";
import { openEditSession } from "../edit-session.ts";
import { publishAndFind, requireEdits } from "../rewriting-session.ts";
import { conflictHints, rewritingJson, rewritingLines } from "../rewriting-view.ts";

export const duplicate = command({
  meta: {
    description: "make copies of changes, on the same parents or on another one",
    examples: ["pogo duplicate kxyz", "pogo duplicate kxyz kabc -d main"],
  },
  args: {
    destination: {
      type: "string",
      alias: "d",
      valueHint: "DEST",
      description: "on top of which change (what they stand on)",
    },
  },
  rest: { valueHint: "REV", description: "the changes", required: true },
  async run({ args, rest, context }) {
    await using session = await openEditSession(context);
    const destination = args.destination === undefined ? [] : [args.destination];
    const texts = [...rest, ...destination];
    const { pushed, changes } = await publishAndFind(session, context, texts);
    const sources = changes.slice(0, rest.length);
    const onto = changes[rest.length];
    const rewriting = await session.remote.duplicateChanges({
      requestId: newRequestId(),
      revisions: sources.map((source) => requireEdits(source, "copy").name),
      destination: destination[0] === undefined ? "" : requireEdits(onto, "stand on").name,
    });
    context.report({ ...rewritingJson(rewriting), pushed: pushed.value }, (style) => {
      const lines = rewritingLines(rewriting, "made copies of", style);
      lines.push(...conflictHints(rewriting, session.current.name));
      return pushed.text(style) + lines.join("\n");
    });
  },
});
