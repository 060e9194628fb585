/** The log of what was ever done to a repository, and the proof that nobody altered it. */
import { findBreak, type Link } from "#core/chain.ts";
import { PogoError } from "#core/errors.ts";
import { hashBytes, type Hash } from "#core/hash.ts";
import {
  operationHash,
  type BookmarkEffect,
  type ChangeEffect,
  type Json,
  type Operation,
} from "#core/operation.ts";
import type { Operation as Message } from "#gen/pogo/v1/operation.ts";
import { present, wrong } from "./received.ts";
import type { Remote } from "./remote.ts";
import { decodeHashes, encodeHashes, type State } from "./state.ts";

/** An operation as the server tells of it. */
export type LoggedOperation = Operation & {
  details: { readonly [key: string]: Json };
  hash: Hash;
  /** Number of the operation that undid it, if it is undone now. */
  undoneBy: number | undefined;
};

const verifiedKey = "verified";
const zeros = new Uint8Array(hashBytes);

/** Lists operations, newest first, from a number downward; 0 is the last, and a limit of 0 none. */
export async function* listOperations(
  remote: Remote,
  query: { from: number; limit: number },
): AsyncGenerator<LoggedOperation> {
  const { operations } = await openLog(remote, query);
  yield* operations;
}

/** Finds an operation by its number. */
export async function findOperation(remote: Remote, number: number): Promise<LoggedOperation> {
  for await (const operation of listOperations(remote, { from: number, limit: 1 })) {
    if (operation.number === number) return operation;
  }
  throw wrong(`does not have operation ${number}`);
}

/** Takes an operation out of the answer of the call that did it. */
export async function answeredOperation(
  remote: Remote,
  message: Message,
): Promise<LoggedOperation> {
  return message.more ? await findOperation(remote, message.number) : toOperation(message);
}

/**
 * Computes the hash of every operation again and compares it with the server's, and the end with
 * the one that was verified here before. The first operation that is wrong is named.
 */
export async function verifyOperations(remote: Remote, state: State): Promise<Link> {
  const known = decodeHashes(state.get(verifiedKey)) as Link | undefined;
  const { head, operations } = await openLog(remote, { from: 0, limit: 0 });
  const problem = await findBreak<LoggedOperation>(operations, {
    noun: "operation",
    head,
    known,
    start: () => ({ number: 0, hash: zeros }),
    hashAfter: operationHash,
    describe,
  });
  if (problem !== undefined) {
    throw new PogoError("corrupt", `the log of operations was tampered with: ${problem}`, {
      hint: "ask who runs the server, and compare with a backup of its database",
    });
  }
  if (!state.isReadOnly) state.set(verifiedKey, encodeHashes(head));
  return head;
}

type Log = { head: Link; operations: AsyncGenerator<LoggedOperation> };

async function openLog(remote: Remote, query: { from: number; limit: number }): Promise<Log> {
  const messages = remote.listOperations(query);
  const { value: first } = await messages.next();
  const { headNumber, headHash } = present(first ?? undefined);
  if (headHash.length !== hashBytes) throw wrong("sent a hash that is none");
  async function* operations(): AsyncGenerator<LoggedOperation> {
    let begun: Message | undefined;
    for await (const { operations: pieces } of messages) {
      for (const piece of pieces) {
        if (begun && begun.number !== piece.number) throw wrong("left out a part of an operation");
        const whole: Message = begun ? append(begun, piece) : piece;
        begun = piece.more ? whole : undefined;
        if (!begun) yield toOperation(whole);
      }
    }
    if (begun) throw wrong("left out a part of an operation");
  }
  return { head: { number: headNumber, hash: headHash }, operations: operations() };
}

function append(begun: Message, piece: Message): Message {
  begun.details += piece.details;
  for (const change of piece.changes) begun.changes.push(change);
  for (const bookmark of piece.bookmarks) begun.bookmarks.push(bookmark);
  return begun;
}

function describe({ number, kind, user, createdAt }: LoggedOperation): string {
  return `operation ${number} (${kind} by ${user}, ${new Date(createdAt).toISOString()})`;
}

function toOperation(message: Message): LoggedOperation {
  const { number, kind, user, createdAt, requestId, hash, undoneBy } = message;
  const isSound = number > 0 && hash.length === hashBytes && Math.abs(createdAt) <= 8.64e15;
  if (!isSound) throw wrong(`sent an operation that makes no sense, ${number}`);
  return {
    number,
    kind,
    user,
    createdAt,
    requestId,
    effects: {
      changes: message.changes.map(({ change, before, after }): ChangeEffect => {
        return { change, before: before ?? null, after: present(after) };
      }),
      bookmarks: message.bookmarks.map(({ bookmark, before, after }): BookmarkEffect => {
        return { bookmark, before: before || null, after: after || null };
      }),
    },
    details: readDetails(message),
    hash,
    undoneBy: undoneBy || undefined,
  };
}

function readDetails({ number, details }: Message): LoggedOperation["details"] {
  try {
    const value: unknown = JSON.parse(details);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as LoggedOperation["details"];
    }
  } catch (cause) {
    throw new PogoError("corrupt", `the details of operation ${number} are not JSON`, { cause });
  }
  throw wrong(`sent an operation that makes no sense, ${number}`);
}
