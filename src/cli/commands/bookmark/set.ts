import { publishedRevision } from "#client/revision.ts";
import { shortName, subject } from "../../change-view.ts";
import { command } from "../../command.ts";
import { bookmarkJson } from "../../bookmark-view.ts";
import { openSession } from "../../session.ts";

export const bookmarkSet = command({
  meta: {
    description: "point a bookmark at a change, creating it if need be",
    examples: ["pogo bookmark set main", "pogo bookmark set v1.2.0 kxyz"],
  },
  args: {
    name: { type: "positional", required: true, description: "the bookmark" },
    revision: {
      type: "positional",
      required: false,
      valueHint: "REV",
      description: "where to (@)",
    },
    expect: {
      type: "string",
      valueHint: "CHANGE",
      description: "only if it points at this change now",
    },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const revision = publishedRevision(session.current, args.revision ?? "@");
    const expected = args.expect && (await session.remote.getChange(args.expect)).name;
    const { bookmark, previousChange } = await session.remote.setBookmark(
      args.name,
      revision,
      expected,
    );
    await session.refresh();
    const change = bookmark?.change;
    context.report(
      { ...bookmarkJson(bookmark), previousChange: previousChange || null },
      (style) => {
        const name = style.green(args.name);
        const where = change && `${shortName(change, style)} ${subject(change.description, style)}`;
        if (previousChange === change?.name) return `${name} is at ${where} already`;
        return `${previousChange === "" ? "created" : "moved"} ${name}, at ${where}`;
      },
    );
  },
});
