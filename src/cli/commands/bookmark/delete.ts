import { bookmarkJson } from "../../bookmark-view.ts";
import { shortName, subject } from "../../change-view.ts";
import { command } from "../../command.ts";
import { openSession } from "../../session.ts";

export const bookmarkDelete = command({
  meta: { description: "delete a bookmark; the change stays" },
  args: {
    name: { type: "positional", required: true, description: "the bookmark" },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const { bookmark } = await session.remote.deleteBookmark(args.name);
    await session.refresh();
    context.report(bookmarkJson(bookmark), (style) => {
      const change = bookmark?.change;
      const was = change && `${shortName(change, style)} ${subject(change.description, style)}`;
      return `deleted ${style.green(args.name)}${was ? `, which was at ${was}` : ""}`;
    });
  },
});
