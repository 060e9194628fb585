import { newDraft } from "#client/change.ts";
import { push as publish } from "#client/push.ts";
import { isDraft, publishedRevision } from "#client/revision.ts";
import { draftJson } from "../draft-view.ts";
import { shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import { changeTo, openEditSession } from "../edit-session.ts";
import { refuseDiverged, uploadProgress } from "../push-view.ts";

export const newChange = command({
  meta: {
    description: "publish the working copy, then start a new change on top of it or of another",
    examples: ["pogo new", 'pogo new main -m "parser: accept empty lists"'],
  },
  args: {
    parent: {
      type: "positional",
      required: false,
      valueHint: "PARENT",
      description: "on top of (@)",
    },
    message: {
      type: "string",
      alias: "m",
      valueHint: "TEXT",
      description: "describe the new change",
    },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const progress = uploadProgress(context);
    using _ = progress;
    refuseDiverged(await publish(session, { observer: progress.start }));
    const { workspace, remote, current } = session;
    if (args.parent === undefined && isDraft(current)) {
      // Still empty: it is what was asked for.
      workspace.state.setCurrent({ ...current, description: args.message ?? "" });
    } else {
      const parent = publishedRevision(current, args.parent ?? `@@${current.version}`);
      const change = await remote.getChange(parent);
      await changeTo(session, context, newDraft([change], args.message));
    }
    const draft = session.current;
    context.report(draftJson(draft), (style) => {
      const on = draft.parents
        .map(
          (p) =>
            `${shortName({ name: p.change, prefix: p.prefix }, style)} ${subject(p.description, style)}`,
        )
        .join(", ");
      return `new draft ${shortName(draft, style)}${on ? ` on ${on}` : ""}`;
    });
  },
});
