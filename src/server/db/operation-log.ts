/** Reading the log that operations.ts appends to. */
import type { Hash } from "#core/hash.ts";
import type { ChangeState, Operation } from "#core/operation.ts";
import type { Queries } from "./connect.ts";
import type { OperationDetails, OperationKind } from "./operations.ts";

export type OperationRow = Operation & {
  kind: OperationKind;
  details: OperationDetails;
  hash: Hash;
};

/** An undo or a redo, and the operation that it reversed. */
export type Reversal = { number: number; target: number };

/** An operation of a user, as far as it takes to choose one to undo. */
export type OwnOperation = {
  number: number;
  kind: OperationKind;
  hasEffects: boolean;
  ageMs: number;
};

type Row = Omit<OperationRow, "createdAt"> & { createdAt: Date };

/** Number and hash of the last operation. */
export async function readHead(
  sql: Queries,
  repositoryId: number,
): Promise<{ number: number; hash: Hash }> {
  const [head] = await sql<{ number: number; hash: Hash }[]>`
    select operation_number as number, operation_hash as hash
    from repositories where repository_id = ${repositoryId}`;
  if (!head) throw new Error(`repository ${repositoryId} is gone`);
  return head;
}

/** Lists operations up to a number, newest first. */
export async function listOperations(
  sql: Queries,
  repositoryId: number,
  through: number,
  limit: number,
): Promise<OperationRow[]> {
  const rows = await sql<Row[]>`
    select number, kind, user_name as user, created_at, request_id, effects, details, hash
    from operations
    where repository_id = ${repositoryId} and number <= ${through}
    order by number desc limit ${limit}`;
  return rows.map(toOperation);
}

/** Finds an operation by its number. */
export async function findOperationAt(
  sql: Queries,
  repositoryId: number,
  number: number,
): Promise<OperationRow | undefined> {
  const [row] = await sql<Row[]>`
    select number, kind, user_name as user, created_at, request_id, effects, details, hash
    from operations where repository_id = ${repositoryId} and number = ${number}`;
  return row && toOperation(row);
}

/** Finds the operation that a request did. */
export async function findRequested(
  sql: Queries,
  repositoryId: number,
  requestId: Uint8Array,
): Promise<OperationRow | undefined> {
  const [row] = await sql<Row[]>`
    select number, kind, user_name as user, created_at, request_id, effects, details, hash
    from operations where repository_id = ${repositoryId} and request_id = ${requestId}`;
  return row && toOperation(row);
}

/** Lists what a user did before an operation, newest first. */
export async function listOwn(
  sql: Queries,
  repositoryId: number,
  userId: number,
  before: number,
  limit: number,
): Promise<OwnOperation[]> {
  return await sql<OwnOperation[]>`
    select number, kind, effects <> '{"changes":[],"bookmarks":[]}'::jsonb as has_effects,
      (extract(epoch from clock_timestamp() - created_at) * 1000)::bigint as age_ms
    from operations
    where repository_id = ${repositoryId} and user_id = ${userId} and number < ${before}
    order by number desc limit ${limit}`;
}

/** Lists the undos and redos of everybody after an operation, newest first. */
export async function listReversals(
  sql: Queries,
  repositoryId: number,
  after: number,
): Promise<Reversal[]> {
  return await sql<Reversal[]>`
    select number, coalesce(details->>'undoes', details->>'redoes')::bigint as target
    from operations
    where repository_id = ${repositoryId} and number > ${after} and kind in ('undo', 'redo')
    order by number desc`;
}

/** Finds who moved a change or a bookmark last, after an operation. */
export async function findMover(
  sql: Queries,
  repositoryId: number,
  after: number,
  moved: { change: string } | { bookmark: string },
): Promise<{ number: number; kind: OperationKind; user: string } | undefined> {
  const part = JSON.stringify("change" in moved ? { changes: [moved] } : { bookmarks: [moved] });
  const [row] = await sql<{ number: number; kind: OperationKind; user: string }[]>`
    select number, kind, user_name as user from operations
    where repository_id = ${repositoryId} and number > ${after}
      and effects @> ${part}::text::jsonb
    order by number desc limit 1`;
  return row;
}

/**
 * Where everything that was moved after an operation was right after it; null where it did not
 * exist then.
 */
export async function readStatesAfter(
  sql: Queries,
  repositoryId: number,
  number: number,
): Promise<{ changes: Map<string, ChangeState | null>; bookmarks: Map<string, string | null> }> {
  const changes = await sql<{ name: string; before: ChangeState | null }[]>`
    select distinct on (effect->>'change' collate "C")
      effect->>'change' as name, effect->'before' as before
    from operations
    cross join lateral jsonb_array_elements(effects->'changes') effect
    where repository_id = ${repositoryId} and number > ${number}
    order by effect->>'change' collate "C", number`;
  const bookmarks = await sql<{ name: string; before: string | null }[]>`
    select distinct on (effect->>'bookmark' collate "C")
      effect->>'bookmark' as name, effect->>'before' as before
    from operations
    cross join lateral jsonb_array_elements(effects->'bookmarks') effect
    where repository_id = ${repositoryId} and number > ${number}
    order by effect->>'bookmark' collate "C", number`;
  return {
    changes: new Map(changes.map(({ name, before }) => [name, before])),
    bookmarks: new Map(bookmarks.map(({ name, before }) => [name, before])),
  };
}

function toOperation({ createdAt, ...row }: Row): OperationRow {
  return { ...row, createdAt: createdAt.getTime() };
}
