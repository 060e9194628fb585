/** The log of what was done to users, members, tokens and rules, and of what was refused. */
import { auditHash, type AuditEvent } from "#core/audit.ts";
import type { Link } from "#core/chain.ts";
import type { Hash } from "#core/hash.ts";
import { transaction, type Queries, type Sql } from "./connect.ts";

export type NewAuditEvent = Omit<AuditEvent, "number" | "createdAt"> & { userId: number | null };

export type AuditEventRow = NewAuditEvent & { number: number; createdAt: Date; hash: Hash };

/** Where the log ends, and the last event that was let go of: where what is left begins. */
export type AuditEnds = { head: Link; start: Link };

/** What the server does by itself. */
const byServer = {
  userId: null,
  userName: null,
  tokenName: null,
  address: "server",
  repositoryName: null,
  allowed: true,
};

/**
 * Appends an event, in the transaction that does what it tells of. From here to the end of the
 * transaction all others that append wait, so it comes last.
 */
export async function appendAudit(tx: Queries, event: NewAuditEvent): Promise<void> {
  const [head] = await tx<{ number: number; hash: Hash; now: Date }[]>`
    select number, hash, clock_timestamp()::timestamptz(3) as now from audit_head for update`;
  if (!head) throw new Error("the end of the audit log is gone");
  const number = head.number + 1;
  const hash = auditHash(head.hash, { ...event, number, createdAt: head.now.getTime() });
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
      and number > (select start_number from audit_head)
      ${user === "" ? sql`` : sql`and user_name = ${user}`}
    order by number desc limit ${limit}`;
}

/** Tells where the log begins and ends now. */
export async function readAuditEnds(sql: Queries): Promise<AuditEnds> {
  const [row] = await sql<{ number: number; hash: Hash; startNumber: number; startHash: Hash }[]>`
    select number, hash, start_number, start_hash from audit_head`;
  if (!row) throw new Error("the ends of the audit log are gone");
  const { number, hash, startNumber, startHash } = row;
  return { head: { number, hash }, start: { number: startNumber, hash: startHash } };
}

/**
 * Lets go of what is older than it is to be kept, and says how many events. The hash of the last
 * one stays, so that what is left can be verified; that it was done is an event itself.
 */
export async function pruneAudit(sql: Sql, keptMs: number): Promise<number> {
  const count = await transaction(sql, async (tx) => {
    const [head] = await tx<{ startNumber: number }[]>`
      select start_number from audit_head for update`;
    if (!head) throw new Error("the ends of the audit log are gone");
    const [last] = await tx<{ number: number; hash: Hash }[]>`
      select number, hash from audit_events
      where number > ${head.startNumber} and number < coalesce(
        (select min(number) from audit_events
          where created_at >= now() - ${keptMs} * interval '1 millisecond'),
        ${Number.MAX_SAFE_INTEGER})
      order by number desc limit 1`;
    if (!last) return 0;
    await tx`update audit_head set start_number = ${last.number}, start_hash = ${last.hash}`;
    const details = { from: head.startNumber + 1, to: last.number };
    await appendAudit(tx, { ...byServer, action: "retention", details });
    return details.to - details.from + 1;
  });
  // Nobody reads them any more, and nobody who appends has to wait for it.
  await sql`delete from audit_events where number <= (select start_number from audit_head)`;
  return count;
}
