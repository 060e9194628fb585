import { undoOperation, type Undone } from "#client/undo.ts";
import { findUndoableDiscard } from "#client/working-copy/restore-discard.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { positiveInteger } from "../options.ts";
import { finishPush } from "../push-view.ts";
import { reportRestored, reportUndone, subjectText, withoutServer } from "../undo-view.ts";

export const undo = command({
  meta: {
    description: "take back what you did last, in this repository or by discarding files here",
    examples: ["pogo undo", "pogo undo 17", "pogo undo --discard"],
  },
  args: {
    operation: {
      type: "positional",
      required: false,
      valueHint: "N",
      description: "this operation, whosever it is: see pogo op log",
    },
    discard: { type: "boolean", description: "what was discarded last; needs no server" },
  },
  async run({ args, context }) {
    const number = positiveInteger(args.operation, "undo");
    await using session = await openEditSession(context);
    const discard = number === undefined ? findUndoableDiscard(session.workspace) : undefined;
    if (args.discard) {
      if (number !== undefined) {
        throw new PogoError("usage", "an operation and --discard are two things to undo", {
          hint: "name one of them",
        });
      }
      if (discard) return reportRestored(session, context, discard, "undo");
      throw new PogoError("not-found", "nothing that was discarded here is kept", {
        hint: "take back your last operation: pogo undo",
      });
    }
    if (session.finished) return await report(session, context, session.finished);
    const ageMs = discard && Math.max(0, Date.now() - discard.createdAt);
    let undone: Undone | undefined;
    try {
      await finishPush(session);
      undone = await undoOperation(session, number, ageMs);
    } catch (error) {
      throw withoutServer(error, discard, "undo");
    }
    if (undone) return await report(session, context, undone);
    if (discard) reportRestored(session, context, discard, "undo");
  },
});

async function report(session: EditSession, context: Context, undone: Undone): Promise<void> {
  await reportUndone(session, context, undone, `undid ${subjectText(undone)}`);
}
