import { publishedRevision } from "#client/revision.ts";
import { changeJson, changeLine, count } from "../change-view.ts";
import { command } from "../command.ts";
import { openSession } from "../session.ts";
import { PogoError } from "#core/errors.ts";

export const rm = command({
  meta: {
    description: "hide a change; the changes on top of it stay, with its parents as theirs",
    examples: ["pogo rm kxyz"],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const { current } = session;
    const revision = publishedRevision(current, args.revision);
    const target = await session.remote.getChange(revision);
    if (target.name === current.name || current.parents.some((p) => p.change === target.name)) {
      throw new PogoError("usage", "the working copy is on that change", {
        hint: "pogo edit REV, to move it elsewhere first",
      });
    }
    const { change, children, bookmarks } = await session.remote.removeChange(target.name);
    await session.refresh();
    const value = {
      removed: change && changeJson(change),
      children: children.map(changeJson),
      bookmarks,
    };
    context.report(value, (style) => {
      const lines = [`removed ${change ? changeLine(change, style) : args.revision}`];
      if (children.length > 0) lines.push(`${count(children.length, "child")} re-parented`);
      if (bookmarks.length > 0) lines.push(`bookmarks moved: ${bookmarks.join(", ")}`);
      return lines.join("\n");
    });
  },
});
