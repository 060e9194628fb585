/** Operations as they are sent; one that is too large for a message is sent in pieces. */
import type { BookmarkEffect, ChangeEffect } from "#core/operation.ts";
import {
  Operation,
  type BookmarkEffect as BookmarkMessage,
  type ChangeEffect as ChangeMessage,
} from "#gen/pogo/v1/operation.ts";
import type { OperationRow, Reversal } from "../../db/operation-log.ts";

// A letter has up to four bytes, an effect up to 300.
const pieceLetters = 100_000;
const pieceEffects = 1000;

/** Which operations are undone now, and by which: what undoes others may be undone itself. */
export function undoneOperations(newestFirst: readonly Reversal[]): Map<number, number> {
  const undone = new Map<number, number>();
  for (const { number, target } of newestFirst) {
    if (!undone.has(number) && !undone.has(target)) undone.set(target, number);
  }
  return undone;
}

/** Writes an operation; the pieces that it comes in have one number. */
export function* operationMessages(row: OperationRow, undoneBy = 0): Generator<Operation> {
  const details = JSON.stringify(row.details);
  const { changes, bookmarks } = row.effects;
  const texts = splitText(details, pieceLetters);
  const effects = Math.max(changes.length, bookmarks.length);
  const count = Math.max(texts.length, Math.ceil(effects / pieceEffects));
  for (let index = 0; index < count; index++) {
    const from = index * pieceEffects;
    yield {
      ...headOf(row),
      details: texts[index] ?? "",
      changes: changes.slice(from, from + pieceEffects).map(changeMessage),
      bookmarks: bookmarks.slice(from, from + pieceEffects).map(bookmarkMessage),
      undoneBy,
      more: index < count - 1,
    };
  }
}

/** Writes an operation for the answer to the call that did it. */
export function answerMessage(row: OperationRow): Operation {
  const [first] = operationMessages(row);
  return first!;
}

/** Writes what another operation is about. */
export function subjectMessage(row: OperationRow): Operation {
  const [first] = operationMessages(row);
  return { ...first!, changes: [], bookmarks: [], more: !isWhole(row) };
}

function isWhole({ details }: OperationRow): boolean {
  return JSON.stringify(details).length <= pieceLetters;
}

function headOf({ number, requestId, user, kind, createdAt, hash }: OperationRow) {
  return { number, requestId, user, kind, createdAt, hash };
}

function changeMessage({ change, before, after }: ChangeEffect): ChangeMessage {
  return { change, before: before ?? undefined, after };
}

function bookmarkMessage({ bookmark, before, after }: BookmarkEffect): BookmarkMessage {
  return { bookmark, before: before ?? "", after: after ?? "" };
}

/** Cuts a text, never between the two halves of a character. */
function splitText(text: string, length: number): string[] {
  const pieces: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + length, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    pieces.push(text.slice(start, end));
    start = end;
  }
  return pieces;
}
