/** How a bookmark looks to programs. */
import type { Bookmark } from "#gen/pogo/v1/bookmark.ts";

/** A bookmark for programs. */
export function bookmarkJson(bookmark: Bookmark | undefined) {
  return {
    name: bookmark?.name,
    change: bookmark?.change?.name,
    description: bookmark?.change?.description,
    updatedAt: bookmark ? new Date(bookmark.updatedAt).toISOString() : null,
  };
}
