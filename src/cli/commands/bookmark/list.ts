import type { Bookmark } from "#gen/pogo/v1/bookmark.ts";
import { bookmarkJson } from "../../bookmark-view.ts";
import { shortName, subject } from "../../change-view.ts";
import { command } from "../../command.ts";
import { quoteName } from "../../output.ts";
import { openSession } from "../../session.ts";

export const bookmarkList = command({
  meta: { description: "list bookmarks and the changes that they point at" },
  async run({ context }) {
    await using session = await openSession(context);
    const bookmarks = await Array.fromAsync<Bookmark>(session.remote.listBookmarks());
    context.print(bookmarks.map(bookmarkJson), (style) => {
      const width = Math.max(0, ...bookmarks.map(({ name }) => name.length));
      const lines = bookmarks.map(({ name, change }) => {
        const where = change
          ? `${shortName(change, style)} ${subject(change.description, style)}`
          : "";
        return `${style.green(quoteName(name).padEnd(width))}  ${where}`;
      });
      return lines.join("\n");
    });
  },
});
