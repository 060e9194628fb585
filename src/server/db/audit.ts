/** The log of what was done to users, members, tokens and rules, and of what was refused. */
import { sha256, type Hash } from "#core/hash.ts";
import { canonicalJson, type Json } from "#core/operation.ts";
import type { Queries } from "./connect.ts";

export type NewAuditEvent = {
  /** Null: nobody who could be known. */
  userId: number | null;
  userName: string | null;
  tokenName: string | null;
  address: string;
  action: string;
  repositoryName: string | null;
  allowed: boolean;
  details: { readonly [key: string]: Json };
};

export type AuditEventRow = NewAuditEvent & { number: number; createdAt: Date; hash: Hash };

const domain = Buffer.from("pogo audit 1\n");

/**
 * Appends an event, in the transaction that does what it tells of. From here to the end of the
 * transaction all others that append wait, so it comes last.
 */
export async function appendAudit(tx: Queries, event: NewAuditEvent): Promise<void> {
  const [head] = await tx<{ number: number; hash: Hash; now: Date }[]>`
    select number, hash, clock_timestamp()::timestamptz(3) as now from audit_head for update`;
  if (!head) throw new Error("the end of the audit log is gone");
  const number = head.number + 1;
  const hash = auditHash(head.hash, { ...event, number, createdAt: head.now });
  const { userId, userName, tokenName, address, action, repositoryName, allowed, details } = event;
  await tx`
    with appended as (
      insert into audit_events (number, created_at, user_id, user_name, token_name, address,
        action, repository_name, allowed, details, hash)
      values (${number}, ${head.now}, ${userId}, ${userName}, ${tokenName}, ${address}, ${action},
        ${repositoryName}, ${allowed}, ${JSON.stringify(details)}::text::jsonb, ${hash})
    )
    update audit_head set number = ${number}, hash = ${hash}`;
}

/** Lists events, newest first, before the given one. */
export async function listAudit(
  sql: Queries,
  query: { since: Date; user: string; before: number; limit: number },
): Promise<AuditEventRow[]> {
  const { since, user, before, limit } = query;
  return await sql<AuditEventRow[]>`
    select number, created_at, user_id, user_name, token_name, address, action, repository_name,
      allowed, details, hash
    from audit_events
    where number < ${before} and created_at >= ${since}
      ${user === "" ? sql`` : sql`and user_name = ${user}`}
    order by number desc limit ${limit}`;
}

/** Hashes an event together with the hash of the one before; before the first, zeros. */
export function auditHash(previous: Hash, event: Omit<AuditEventRow, "hash">): Hash {
  const { number, createdAt, userName, tokenName, address, action } = event;
  const { repositoryName, allowed, details } = event;
  const who = [userName, tokenName, address];
  const fields = [number, createdAt.getTime(), who, action, repositoryName, allowed, details];
  return sha256(Buffer.concat([domain, previous, Buffer.from(canonicalJson(fields))]));
}
