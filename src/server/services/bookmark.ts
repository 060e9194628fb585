import { PogoError } from "#core/errors.ts";
import { answerBytes, pageMax } from "#core/limits.ts";
import { checkBookmarkName } from "#core/name.ts";
import {
  Bookmark,
  type BookmarkServiceServer,
  type DeleteBookmarkRequest,
  type DeleteBookmarkResponse,
  type ListBookmarksRequest,
  type ListBookmarksResponse,
  type SetBookmarkRequest,
  type SetBookmarkResponse,
} from "#gen/pogo/v1/bookmark.ts";
import { requireRead, requireWrite, type Caller } from "../auth.ts";
import {
  findBookmark,
  listBookmarks as listInDatabase,
  type BookmarkRow,
} from "../db/bookmarks.ts";
import { findChange, lockChanges, readChanges, type ChangeRow } from "../db/changes.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { openMutation, type Mutation } from "../db/mutation.ts";
import type { OperationDetails } from "../db/operations.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readChangeMessage, readChangeMessages } from "./change-message.ts";
import { checkRequestId, checkText, recallOperation } from "./requests.ts";
import { resolveChange } from "./revision.ts";

/** Makes the service. */
export function bookmarkService(parts: Parts, { unary }: CallHandlers): BookmarkServiceServer {
  return {
    setBookmark: unary((request: SetBookmarkRequest, caller) =>
      setBookmark(parts, request, caller),
    ),
    listBookmarks: unary((request: ListBookmarksRequest, caller) =>
      listBookmarks(parts, request, caller),
    ),
    deleteBookmark: unary((request: DeleteBookmarkRequest, caller) =>
      deleteBookmark(parts, request, caller),
    ),
  };
}

/** Creates a bookmark or points it elsewhere, if it is what the caller expects. */
export async function setBookmark(
  { sql }: Parts,
  request: SetBookmarkRequest,
  caller: Caller | undefined,
): Promise<SetBookmarkResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  checkBookmarkName(request.name);
  checkRequestId(request.requestId);
  const previousChange = await transaction(sql, async (tx) => {
    const recalled = await recallOperation(
      tx,
      { repositoryId, requestId: request.requestId, caller: user, kind: "set-bookmark" },
      ({ details }) => details["bookmark"] === request.name,
    );
    if (recalled) return String(recalled.details["previous"]);
    const change = await lockResolved(tx, repositoryId, request.revision);
    const mutation = openMutation(tx, repositoryId);
    const moved = await point({ tx, repositoryId, mutation }, request, change);
    const previous = moved?.changeName ?? "";
    if (moved?.changeId !== change.changeId) {
      const { name: bookmark, requestId } = request;
      const details = { bookmark, change: change.name, previous };
      await mutation.record({ requestId, caller: user, kind: "set-bookmark", details });
    }
    return previous;
  });
  const row = await findBookmark(sql, repositoryId, request.name);
  return { bookmark: row && (await toMessage(sql, repositoryId, row, user)), previousChange };
}

/** Lists bookmarks by name. */
export async function listBookmarks(
  { sql }: Parts,
  request: ListBookmarksRequest,
  caller: Caller | undefined,
): Promise<ListBookmarksResponse> {
  const { repositoryId } = await requireRead(sql, caller, request.repository);
  checkText(request.after);
  const rows = await listInDatabase(sql, repositoryId, request.after, pageMax + 1);
  const versionIds = [...new Set(rows.map((row) => row.versionId))];
  const messages = await readChangeMessages(sql, repositoryId, versionIds, caller);
  const changes = new Map(versionIds.map((versionId, index) => [versionId, messages[index]]));
  const bookmarks: Bookmark[] = [];
  let bytes = 0;
  for (const { name, versionId, updatedAt } of rows.slice(0, pageMax)) {
    const change = changes.get(versionId);
    const bookmark = { name, change, updatedAt: updatedAt.getTime() };
    bookmarks.push(bookmark);
    bytes += Bookmark.encode(bookmark).finish().length;
    if (bytes >= answerBytes) break;
  }
  return { bookmarks, more: bookmarks.length < rows.length };
}

/** Deletes a bookmark, if it is what the caller expects. */
export async function deleteBookmark(
  { sql }: Parts,
  request: DeleteBookmarkRequest,
  caller: Caller | undefined,
): Promise<DeleteBookmarkResponse> {
  const { repository, caller: user } = await requireWrite(sql, caller, request.repository);
  const { repositoryId } = repository;
  const { name, requestId } = request;
  checkBookmarkName(name);
  checkRequestId(requestId);
  const deleted = await transaction(sql, async (tx) => {
    const kind = "delete-bookmark";
    const recalled = await recallOperation(
      tx,
      { repositoryId, requestId, caller: user, kind },
      ({ details }) => details["bookmark"] === name,
    );
    if (recalled) return await recallDeleted(tx, repositoryId, name, recalled.details);
    const row = await findBookmark(tx, repositoryId, name, true);
    if (!row) {
      throw new PogoError("not-found", `no bookmark is named ${JSON.stringify(name)}`, {
        hint: "see what there is: pogo bookmark list",
      });
    }
    checkExpected(request, row);
    const mutation = openMutation(tx, repositoryId);
    await mutation.deleteBookmark(name);
    const updatedAt = row.updatedAt.getTime();
    const details = { bookmark: name, change: row.changeName, updatedAt };
    await mutation.record({ requestId, caller: user, kind, details });
    return row;
  });
  return { bookmark: await toMessage(sql, repositoryId, deleted, user) };
}

/** Finds the change that a bookmark is to name, and keeps it from being hidden meanwhile. */
async function lockResolved(
  tx: Queries,
  repositoryId: number,
  revision: string,
): Promise<ChangeRow> {
  const change = await resolveChange(tx, repositoryId, revision);
  await lockChanges(tx, repositoryId, [change.changeId], "share");
  const [now] = await readChanges(tx, repositoryId, [change.changeId]);
  if (now && !now.isRemoved) return now;
  throw new PogoError("not-found", `change ${change.name} was removed`);
}

/** Points the bookmark at the change; says where it pointed before. */
async function point(
  { tx, repositoryId, mutation }: { tx: Queries; repositoryId: number; mutation: Mutation },
  request: SetBookmarkRequest,
  { changeId }: ChangeRow,
): Promise<BookmarkRow | undefined> {
  const { name } = request;
  let previous = await findBookmark(tx, repositoryId, name, true);
  if (!previous) {
    checkExpected(request, undefined);
    if (await mutation.insertBookmark(name, changeId)) return undefined;
    // Somebody created it at this moment.
    previous = await findBookmark(tx, repositoryId, name, true);
  }
  checkExpected(request, previous);
  if (previous?.changeId !== changeId) await mutation.moveBookmark(name, changeId);
  return previous;
}

function checkExpected(
  { name, expectedChange }: { name: string; expectedChange?: string | undefined },
  row: BookmarkRow | undefined,
): void {
  const actual = row?.changeName ?? "";
  if (expectedChange === undefined || expectedChange === actual) return;
  const now = row ? `points at ${actual} now` : "does not exist any more";
  throw new PogoError("conflict", `bookmark ${name} ${now}`, {
    hint: row ? `see what is there: pogo show ${name}` : "see what there is: pogo bookmark list",
  });
}

async function recallDeleted(
  tx: Queries,
  repositoryId: number,
  name: string,
  details: OperationDetails,
): Promise<BookmarkRow> {
  const change = await findChange(tx, repositoryId, String(details["change"]));
  if (!change) throw new Error("the change of a deleted bookmark is gone");
  const updatedAt = new Date(Number(details["updatedAt"]));
  const { changeId, versionId, name: changeName } = change;
  return { name, changeId, changeName, versionId, updatedAt };
}

async function toMessage(
  sql: Sql,
  repositoryId: number,
  { name, versionId, updatedAt }: BookmarkRow,
  caller: Caller,
): Promise<Bookmark> {
  const change = await readChangeMessage(sql, repositoryId, versionId, caller);
  return { name, change, updatedAt: updatedAt.getTime() };
}
