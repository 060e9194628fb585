import {
  type AuditEvent,
  type AuditServiceServer,
  type ListAuditEventsRequest,
  type ListAuditEventsResponse,
} from "#gen/pogo/v1/audit.ts";
import { pageMax } from "#core/limits.ts";
import { listAudit, readAuditEnds, type AuditEventRow } from "../db/audit.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { checkText } from "./requests.ts";

const nothing: ListAuditEventsResponse = {
  events: [],
  headNumber: 0,
  headHash: new Uint8Array(),
  startNumber: 0,
  startHash: new Uint8Array(),
};

/** Makes the service. */
export function auditService(parts: Parts, { serverStream }: CallHandlers): AuditServiceServer {
  return {
    listAuditEvents: serverStream((request: ListAuditEventsRequest) =>
      listAuditEvents(parts, request),
    ),
  };
}

/**
 * Lists what was done and what was refused, newest first. Where the log begins is said at the end:
 * what is let go of meanwhile is not missed.
 */
export async function* listAuditEvents(
  { sql }: Parts,
  { since, user, limit }: ListAuditEventsRequest,
): AsyncGenerator<ListAuditEventsResponse> {
  checkText(user);
  const { head } = await readAuditEnds(sql);
  yield { ...nothing, headNumber: head.number, headHash: head.hash };
  let left = limit === 0 ? Number.MAX_SAFE_INTEGER : limit;
  let before = head.number + 1;
  while (left > 0) {
    const page = { since: new Date(since), user, before, limit: Math.min(left, pageMax) };
    const rows = await listAudit(sql, page);
    const last = rows.at(-1);
    if (!last) break;
    yield { ...nothing, events: rows.map(toMessage) };
    before = last.number;
    left -= rows.length;
  }
  const { start } = await readAuditEnds(sql);
  yield { ...nothing, startNumber: start.number, startHash: start.hash };
}

function toMessage(row: AuditEventRow): AuditEvent {
  return {
    number: row.number,
    createdAt: row.createdAt.getTime(),
    user: row.userName ?? "",
    token: row.tokenName ?? "",
    address: row.address,
    action: row.action,
    repository: row.repositoryName ?? "",
    allowed: row.allowed,
    details: JSON.stringify(row.details),
    hash: row.hash,
  };
}
