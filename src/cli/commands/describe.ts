import { publishedChange } from "#client/change.ts";
import { changeRevision, isDraft } from "#client/revision.ts";
import { equalHashes } from "#core/hash.ts";
import { changeJson, changeLine, shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import { draftJson } from "../draft-view.ts";
import { openEditSession } from "../edit-session.ts";
import { editText } from "../editor.ts";
import { findWhole } from "../session.ts";

export const describe = command({
  meta: {
    description: "set the description of a change",
    examples: ['pogo describe -m "parser: accept empty lists"', "pogo describe kxyz"],
  },
  args: {
    revision: { type: "positional", required: false, valueHint: "REV", description: "which (@)" },
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "else $EDITOR asks" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const { workspace, remote, current } = session;
    const revision = changeRevision(current, args.revision ?? "@");
    if (revision === undefined) {
      const text = args.message ?? (await editText(context, workspace, current.description));
      workspace.state.setCurrent({ ...current, description: text });
      const draft = session.current;
      context.report(draftJson(draft), (style) => {
        return `described draft ${shortName(draft, style)} ${subject(text, style)}`;
      });
      return;
    }
    const target = await findWhole(remote, revision);
    const text = args.message ?? (await editText(context, workspace, target.description));
    const change = await remote.describeChange(target.name, text);
    // The files are in step with the new version if they were with the one before.
    const isOwn = change.name === current.name && !isDraft(current);
    if (isOwn && equalHashes(change.tree, current.tree)) {
      workspace.state.setCurrent(publishedChange(change));
    } else {
      const parents = current.parents.map((parent) => {
        return parent.change === change.name ? { ...parent, description: text } : parent;
      });
      workspace.state.setCurrent({ ...current, parents });
    }
    context.report(changeJson(change), (style) => `described ${changeLine(change, style)}`);
  },
});
