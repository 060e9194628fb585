import { publishedChange } from "#client/change.ts";
import { changeJson, changeLine } from "../change-view.ts";
import { command } from "../command.ts";
import { changeTo, openEditSession } from "../edit-session.ts";
import { pushedBefore, publish } from "../push-view.ts";
import { findTarget } from "../session.ts";

export const edit = command({
  meta: {
    description: "publish the working copy, then go on with another change",
    examples: ["pogo edit kxyz", "pogo edit main"],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    // Asked first: a mistyped name must not publish anything.
    const target = await findTarget(session, args.revision);
    const pushed = pushedBefore(await publish(session, context), session.current);
    const change = await session.remote.getChange(target.name);
    await changeTo(session, context, publishedChange(change));
    context.report({ ...changeJson(change), pushed: pushed.value }, (style) => {
      const sealed = change.sealed ? " (sealed: a push makes a new change on top)" : "";
      return `${pushed.text(style)}now at ${changeLine(change, style)}${sealed}`;
    });
  },
});
