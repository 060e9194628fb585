import { newDraft } from "#client/change.ts";
import { isDraft } from "#client/revision.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import { changeTo, openEditSession } from "../edit-session.ts";
import { editText } from "../editor.ts";
import { publish, pushJson, pushText } from "../push-view.ts";

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
    const result = await publish(session, context, { description });
    if (result.change === undefined && (isDraft(current) || args.message === undefined)) {
      throw new PogoError("usage", "nothing changed, so there is nothing to commit", {
        hint: "pogo commit -m TEXT makes a change without files",
      });
    }
    const committed = session.current;
    const parent = result.change ?? (await session.remote.getChange(committed.name));
    await changeTo(session, context, newDraft([parent]));
    context.report({ ...pushJson(result, committed), draft: session.current.name }, (style) => {
      return pushText(result, committed, style, "committed");
    });
  },
});
