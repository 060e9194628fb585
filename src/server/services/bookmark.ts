import { PogoError } from "#core/errors.ts";
import { pageMax } from "#core/limits.ts";
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
  deleteBookmark as deleteInDatabase,
  findBookmark,
  insertBookmark,
  listBookmarks as listInDatabase,
  moveBookmark,
  type BookmarkRow,
} from "../db/bookmarks.ts";
import { lockChanges, readChanges, type ChangeRow } from "../db/changes.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { recordOperation } from "../db/operations.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readChangeMessage, readChangeMessages } from "./change-message.ts";
import { checkRequestId, checkText, recallOperation } from "./requests.ts";
import { resolveChange } from "./revision.ts";

// Half a message: the next bookmark always fits too.
const answerBytes = 512 * 1024;

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
      ({ before }) => before["bookmark"] === request.name,
    );
    if (recalled) return String(recalled.before["change"] ?? "");
    const change = await lockResolved(tx, repositoryId, request.revision);
    const previous = await point(tx, repositoryId, request, change);
    if (previous?.changeId !== change.changeId) {
      await recordOperation(tx, {
        repositoryId,
        requestId: request.requestId,
        userId: user.userId,
        kind: "set-bookmark",
        before: { bookmark: request.name, ...stateOf(previous) },
        after: { bookmark: request.name, change: change.name, changeId: change.changeId },
      });
    }
    return previous?.changeName ?? "";
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
      ({ before }) => before["bookmark"] === name,
    );
    if (recalled) return await recallDeleted(tx, repositoryId, name, recalled.before);
    const row = await findBookmark(tx, repositoryId, name, true);
    if (!row) {
      throw new PogoError("not-found", `no bookmark is named ${JSON.stringify(name)}`, {
        hint: "see what there is: pogo bookmark list",
      });
    }
    checkExpected(request, row);
    await deleteInDatabase(tx, repositoryId, name);
    await recordOperation(tx, {
      repositoryId,
      requestId,
      userId: user.userId,
      kind,
      before: { bookmark: name, ...stateOf(row), updatedAt: row.updatedAt.getTime() },
      after: { bookmark: name },
    });
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
  tx: Queries,
  repositoryId: number,
  request: SetBookmarkRequest,
  { changeId }: ChangeRow,
): Promise<BookmarkRow | undefined> {
  const { name } = request;
  let previous = await findBookmark(tx, repositoryId, name, true);
  if (!previous) {
    checkExpected(request, undefined);
    if (await insertBookmark(tx, repositoryId, name, changeId)) return undefined;
    // Somebody created it at this moment.
    previous = await findBookmark(tx, repositoryId, name, true);
  }
  checkExpected(request, previous);
  if (previous?.changeId !== changeId) await moveBookmark(tx, repositoryId, name, changeId);
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
  before: { readonly [key: string]: unknown },
): Promise<BookmarkRow> {
  const [change] = await readChanges(tx, repositoryId, [Number(before["changeId"])]);
  if (!change) throw new Error("the change of a deleted bookmark is gone");
  const updatedAt = new Date(Number(before["updatedAt"]));
  const { changeId, versionId, name: changeName } = change;
  return { name, changeId, changeName, versionId, updatedAt };
}

function stateOf(row: BookmarkRow | undefined) {
  return row ? { change: row.changeName, changeId: row.changeId } : { change: null };
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
