import { publishedChange } from "#client/change.ts";
import { newRequestId } from "#client/remote.ts";
import { changeJson, changeLine } from "../change-view.ts";
import { command } from "../command.ts";
import { changeTo, openEditSession } from "../edit-session.ts";
import { publishAndFind, requireEdits } from "../rewriting-session.ts";

export const revert = command({
  meta: {
    description: "make a new change that takes back the edits of another one",
    examples: ["pogo revert kxyz", "pogo revert kxyz -d main"],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
    destination: {
      type: "string",
      alias: "d",
      valueHint: "DEST",
      description: "on top of which change (@, and the working copy goes there)",
    },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const texts = [args.revision, args.destination ?? "@"];
    const { pushed, changes } = await publishAndFind(session, context, texts);
    const { remote, current } = session;
    const [parent] = current.parents;
    // A draft that is still empty stands for what it is on top of.
    const standIn = parent && (await remote.getChange(parent.change));
    const change = await remote.revertChange({
      requestId: newRequestId(),
      revision: requireEdits(changes[0], "revert").name,
      destination: requireEdits(changes[1] ?? standIn, "stand on").name,
    });
    const goesThere = args.destination === undefined;
    if (goesThere) await changeTo(session, context, publishedChange(change));
    context.report({ ...changeJson(change), pushed: pushed.value }, (style) => {
      const line = `${goesThere ? "now at" : "created"} ${changeLine(change, style)}`;
      const lines = [pushed.text(style) + line];
      if (change.conflicted && !goesThere) {
        lines.push(`it is in conflict: pogo edit ${change.prefix}, then pogo resolve --list`);
      } else if (change.conflicted) {
        lines.push("see what is in conflict: pogo resolve --list");
      }
      return lines.join("\n");
    });
  },
});
