import type { Change } from "#gen/pogo/v1/common.ts";
import type { Caller } from "../auth.ts";
import { readChangeViews, type ChangeView } from "../db/change-views.ts";
import type { Queries } from "../db/connect.ts";

/** Tells of versions as the caller sees them, in the order asked. */
export async function readChangeMessages(
  sql: Queries,
  repositoryId: number,
  versionIds: readonly number[],
  caller: Caller | undefined,
): Promise<Change[]> {
  const views = await readChangeViews(sql, repositoryId, versionIds);
  return views.map((view) => toMessage(view, caller));
}

/** Tells of one version as the caller sees it. */
export async function readChangeMessage(
  sql: Queries,
  repositoryId: number,
  versionId: number,
  caller: Caller | undefined,
): Promise<Change> {
  const [message] = await readChangeMessages(sql, repositoryId, [versionId], caller);
  if (!message) throw new Error(`version ${versionId} is gone`);
  return message;
}

function toMessage(view: ChangeView, caller: Caller | undefined): Change {
  const isPinned = view.hasChildren || view.bookmarks.length > 0;
  return {
    name: view.name,
    prefix: view.prefix,
    description: view.description,
    author: view.author,
    parents: view.parents.map(({ name, number, description, prefix }) => ({
      change: name,
      version: number,
      description,
      prefix,
    })),
    bookmarks: view.bookmarks,
    createdAt: view.createdAt.getTime(),
    updatedAt: view.updatedAt.getTime(),
    conflicted: view.conflicted,
    sealed: isPinned || view.authorId !== caller?.userId,
    version: view.number,
    currentVersion: view.currentNumber,
    tree: view.tree,
    fileCount: view.fileCount,
    byteCount: view.byteCount,
    versionAuthor: view.versionAuthor === view.author ? "" : view.versionAuthor,
    hidden: view.isRemoved,
  };
}
