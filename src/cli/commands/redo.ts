import { redoOperation, type Undone } from "#client/undo.ts";
import { findRedoableDiscard } from "#client/working-copy/restore-discard.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import { openEditSession } from "../edit-session.ts";
import { finishPush } from "../push-view.ts";
import { reportRestored, reportUndone, subjectText, withoutServer } from "../undo-view.ts";

export const redo = command({
  meta: {
    description: "do again what you undid last, as long as you did nothing else since",
    examples: ["pogo redo", "pogo redo --discard"],
  },
  args: {
    discard: { type: "boolean", description: "discard again what was brought back last" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const discard = findRedoableDiscard(session.workspace);
    if (args.discard) {
      if (discard) return reportRestored(session, context, discard, "redo");
      throw new PogoError("not-found", "nothing was brought back here since the last discard", {
        hint: "bring back what was discarded: pogo undo --discard",
      });
    }
    const ageMs = discard && Math.max(0, Date.now() - discard.createdAt);
    let undone: Undone | undefined = session.finished;
    try {
      await finishPush(session);
      undone ??= await redoOperation(session, ageMs);
    } catch (error) {
      throw withoutServer(error, discard, "redo");
    }
    if (undone) {
      await reportUndone(session, context, undone, `did again ${subjectText(undone)}`);
    } else if (discard) reportRestored(session, context, discard, "redo");
  },
});
