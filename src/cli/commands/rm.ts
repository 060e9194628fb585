import { newDraft } from "#client/change.ts";
import { isDraft, publishedRevision } from "#client/revision.ts";
import { moveOnto } from "#client/switch.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { changeJson, changeLine, shortName } from "../change-view.ts";
import { command } from "../command.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { findWhole } from "../session.ts";

export const rm = command({
  meta: {
    description: "hide a change; the changes on top of it stay, with its parents as theirs",
    examples: ["pogo rm kxyz"],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const revision = publishedRevision(session.current, args.revision);
    const target = await findWhole(session.remote, revision);
    const { change, children, bookmarks } = await session.remote.removeChange(target.name);
    await leaveRemoved(session, target);
    const value = {
      removed: change && changeJson(change),
      children: children.map(changeJson),
      bookmarks,
    };
    context.report(value, (style) => {
      const lines = [`removed ${change ? changeLine(change, style) : args.revision}`];
      for (const child of children) lines.push(`re-parented ${changeLine(child, style)}`);
      const [parent] = target.parents;
      const where = parent && shortName({ name: parent.change, prefix: parent.prefix }, style);
      for (const name of bookmarks) {
        lines.push(where ? `moved bookmark ${name} to ${where}` : `deleted bookmark ${name}`);
      }
      return lines.join("\n");
    });
  },
});

/**
 * A working copy on the removed change, or with a draft on top of it, goes on from its parents.
 * The files stay as they are, so that what the change did is an edit of the draft now.
 */
async function leaveRemoved(session: EditSession, removed: Change): Promise<void> {
  const { remote, current } = session;
  const isOn = current.name === removed.name;
  const isAbove = isDraft(current) && current.parents.some(({ change }) => change === removed.name);
  if (!isOn && !isAbove) return await session.refresh();
  const kept = current.parents.filter(({ change }) => change !== removed.name);
  const names = [...removed.parents, ...(isOn ? [] : kept)].map(
    ({ change, version }) => `${change}@${version}`,
  );
  const parents = await Promise.all(names.map((name) => remote.getChange(name)));
  const draft = newDraft(parents, current.description);
  await moveOnto(session, isOn ? draft : { ...draft, name: current.name, prefix: current.prefix });
}
