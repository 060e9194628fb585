/** The log of everything that was ever done to a repository. */
import type { Queries } from "./connect.ts";

export type Operation = {
  repositoryId: number;
  requestId: Uint8Array;
  userId: number;
  kind: OperationKind;
  /** What undoing needs to know of how it was, and of how it became. */
  before: OperationState;
  after: OperationState;
};

export type OperationKind =
  | "create-repository"
  | "allow-case-collisions"
  | "commit"
  | "describe"
  | "remove-change"
  | "merge-changes"
  | "sync-bookmark"
  | "set-bookmark"
  | "delete-bookmark";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Names and numbers that stay true; the ids of rows that are never deleted alone. */
export type OperationState = { readonly [key: string]: Json };

/** Appends an operation, in the transaction that does it. */
export async function recordOperation(tx: Queries, operation: Operation): Promise<void> {
  const { repositoryId, requestId, userId, kind, before, after } = operation;
  await tx`
    insert into operations (repository_id, request_id, user_id, kind, before, after)
    values (${repositoryId}, ${requestId}, ${userId}, ${kind},
      ${JSON.stringify(before)}::text::jsonb, ${JSON.stringify(after)}::text::jsonb)`;
}

/** Finds what a request did when it was sent before. */
export async function findOperation(
  sql: Queries,
  repositoryId: number,
  requestId: Uint8Array,
): Promise<Pick<Operation, "userId" | "kind" | "before" | "after"> | undefined> {
  const [row] = await sql<Pick<Operation, "userId" | "kind" | "before" | "after">[]>`
    select user_id, kind, before, after from operations
    where repository_id = ${repositoryId} and request_id = ${requestId}`;
  return row;
}
