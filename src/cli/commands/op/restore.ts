import { restoreOperation } from "#client/undo.ts";
import { PogoError } from "#core/errors.ts";
import { count } from "../../change-view.ts";
import { command } from "../../command.ts";
import { openEditSession } from "../../edit-session.ts";
import { finishPush } from "../../push-view.ts";
import { reportUndone } from "../../undo-view.ts";

export const opRestore = command({
  meta: {
    description: "put the whole repository back to how it was after an operation; undo undoes it",
    examples: ["pogo op restore 17", "pogo op restore 0"],
  },
  args: {
    operation: {
      type: "positional",
      required: true,
      valueHint: "N",
      description: "which; 0 is before the first",
    },
  },
  async run({ args, context }) {
    if (!/^\d{1,15}$/.test(args.operation)) {
      throw new PogoError("usage", `${JSON.stringify(args.operation)} is no operation's number`, {
        hint: "see what was done: pogo op log",
      });
    }
    const number = Number(args.operation);
    await using session = await openEditSession(context);
    await finishPush(session);
    const restored = await restoreOperation(session, number);
    if (!restored) {
      const value = { operation: null, undone: null, discard: null, workingCopy: "stayed" };
      const text = `everything is as it was after operation ${number} already`;
      return context.report({ ...value, change: null }, text);
    }
    const { changes, bookmarks } = restored.operation.effects;
    const moved = `${count(changes.length, "change")}, ${count(bookmarks.length, "bookmark")}`;
    const title = `restored everything as it was after operation ${number} (${moved})`;
    await reportUndone(session, context, restored, title);
  },
});
