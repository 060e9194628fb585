/** The log of everything that was ever done to a repository: rows are appended, never changed. */
import type { Hash } from "#core/hash.ts";
import { operationHash, type Effects, type Json, type Operation } from "#core/operation.ts";
import type { Queries } from "./connect.ts";

export type OperationKind =
  | "create-repository"
  | "allow-case-collisions"
  | "commit"
  | "describe"
  | "remove-change"
  | "merge-changes"
  | "sync-bookmark"
  | "set-bookmark"
  | "delete-bookmark"
  | "rebase"
  | "squash"
  | "split"
  | "revert"
  | "duplicate"
  | "undo"
  | "redo"
  | "restore-operation";

/** Names and numbers of versions, which stay true; no ids of rows. */
export type OperationDetails = { readonly [key: string]: Json };

/** An operation that is to be. */
export type NewOperation = {
  requestId: Uint8Array;
  userId: number;
  userName: string;
  kind: OperationKind;
  details: OperationDetails;
  effects: Effects;
};

/** What is known of a request that was sent before. */
export type DoneOperation = { details: OperationDetails; effects: Effects };

/**
 * Appends an operation, in the transaction that does it. From here to the end of the transaction
 * all others that append to the same repository wait, so it comes last.
 */
export async function appendOperation(
  tx: Queries,
  repositoryId: number,
  operation: NewOperation,
): Promise<number> {
  const { requestId, userId, userName, kind, details, effects } = operation;
  const [head] = await tx<{ number: number; hash: Hash; now: Date }[]>`
    select operation_number as number, operation_hash as hash,
      clock_timestamp()::timestamptz(3) as now
    from repositories where repository_id = ${repositoryId}
    for no key update`;
  if (!head) throw new Error(`repository ${repositoryId} is gone`);
  const number = head.number + 1;
  const createdAt = head.now.getTime();
  const hashed: Operation = {
    number,
    kind,
    user: userName,
    createdAt,
    requestId,
    effects,
    details,
  };
  const hash = operationHash(head.hash, hashed);
  await tx`
    with appended as (
      insert into operations (repository_id, number, request_id, user_id, user_name, kind,
        details, effects, created_at, hash)
      values (${repositoryId}, ${number}, ${requestId}, ${userId}, ${userName}, ${kind},
        ${JSON.stringify(details)}::text::jsonb, ${JSON.stringify(effects)}::text::jsonb,
        ${head.now}, ${hash})
    )
    update repositories set operation_number = ${number}, operation_hash = ${hash}
    where repository_id = ${repositoryId}`;
  return number;
}

/** Finds what a request did when it was sent before. */
export async function findOperation(
  sql: Queries,
  repositoryId: number,
  requestId: Uint8Array,
): Promise<(DoneOperation & { userId: number; kind: OperationKind }) | undefined> {
  const [row] = await sql<(DoneOperation & { userId: number; kind: OperationKind })[]>`
    select user_id, kind, details, effects from operations
    where repository_id = ${repositoryId} and request_id = ${requestId}`;
  return row;
}

/** Tells whether a request has been done in a repository, by the repository's name. */
export async function isRequestDone(
  sql: Queries,
  repository: string,
  requestId: Uint8Array,
): Promise<boolean> {
  const [row] = await sql`
    select 1 from repositories r
    join operations o on o.repository_id = r.repository_id and o.request_id = ${requestId}
    where r.name = ${repository}`;
  return row !== undefined;
}
