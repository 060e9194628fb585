import { newDraft } from "#client/change.ts";
import { push as publish } from "#client/push.ts";
import { isDraft } from "#client/revision.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import { changeTo, openEditSession } from "../edit-session.ts";
import { editText } from "../editor.ts";
import { pushJson, pushText, refuseDiverged, uploadProgress } from "../push-view.ts";

export const commit = command({
  meta: {
    description: "describe and publish the working copy, then start a new change on top",
    examples: ['pogo commit -m "parser: accept empty lists"'],
  },
  args: {
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "describe the change" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const { current } = session;
    const asks = args.message === undefined && current.description === "" && context.interactive;
    const description = asks ? await editText(context, session.workspace, "") : args.message;
    const progress = uploadProgress(context);
    using _ = progress;
    const result = await publish(session, { description, observer: progress.start });
    refuseDiverged(result);
    if (result.change === undefined && (isDraft(current) || args.message === undefined)) {
      throw new PogoError("usage", "nothing changed, so there is nothing to commit", {
        hint: "pogo commit -m TEXT commits even so",
      });
    }
    const committed = session.current;
    const parent = result.change ?? (await session.remote.getChange(committed.name));
    await changeTo(session, context, newDraft([parent]));
    context.report(pushJson(result, committed), (style) => pushText(result, committed, style));
  },
});
