import { newDraft } from "#client/change.ts";
import { moveOnto } from "#client/switch.ts";
import { recordDeparture } from "#client/undo-destination.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { changeJson, changeLine, shortName } from "../change-view.ts";
import { command } from "../command.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { publish, pushedBefore } from "../push-view.ts";
import { followRewriting } from "../rewriting-session.ts";
import { conflictHints, rewritingJson, rewritingLines } from "../rewriting-view.ts";
import { findTarget } from "../session.ts";

export const rm = command({
  meta: {
    description: "hide a change and its edits; the changes on top of it keep theirs",
    examples: ["pogo rm kxyz"],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const target = await findTarget(session, args.revision);
    const isOwn = target.name === session.current.name;
    // Edits of the change that goes become a draft's, here.
    const pushed = isOwn
      ? undefined
      : pushedBefore(await publish(session, context), session.current);
    const { change, rewriting } = await session.remote.removeChange(target.name);
    if (isOwn) await leaveRemoved(session, target);
    else await followRewriting(session, context);
    const value = {
      removed: change && changeJson(change),
      ...rewritingJson(rewriting!),
      pushed: pushed?.value ?? null,
    };
    context.report(value, (style) => {
      const lines = [`removed ${change ? changeLine(change, style) : args.revision}`];
      if (rewriting!.count > 0) lines.push(...rewritingLines(rewriting!, "rebased", style));
      const [parent] = target.parents;
      const where = parent && shortName({ name: parent.change, prefix: parent.prefix }, style);
      for (const name of rewriting!.bookmarks) {
        lines.push(where ? `moved bookmark ${name} to ${where}` : `deleted bookmark ${name}`);
      }
      lines.push(...conflictHints(rewriting!, session.current.name));
      return (pushed?.text(style) ?? "") + lines.join("\n");
    });
  },
});

/**
 * A working copy on the removed change goes on from its parents, with its files as they are: what
 * the change did is an edit of the draft now.
 */
async function leaveRemoved(session: EditSession, removed: Change): Promise<void> {
  const { remote, current } = session;
  const names = removed.parents.map(({ change, version }) => `${change}@${version}`);
  const parents = await Promise.all(names.map((name) => remote.getChange(name)));
  const draft = newDraft(parents, current.description);
  await moveOnto(session, draft);
  // An undo of the removal leads back.
  const departure = { number: 0, name: draft.name, how: "kept", current } as const;
  recordDeparture(session.workspace.state, departure);
}
