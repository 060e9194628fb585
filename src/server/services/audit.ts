import type {
  AuditEvent,
  AuditServiceServer,
  ListAuditEventsRequest,
  ListAuditEventsResponse,
} from "#gen/pogo/v1/audit.ts";
import { pageMax } from "#core/limits.ts";
import { listAudit, type AuditEventRow } from "../db/audit.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { checkText } from "./requests.ts";

/** Makes the service. */
export function auditService(parts: Parts, { serverStream }: CallHandlers): AuditServiceServer {
  return {
    listAuditEvents: serverStream((request: ListAuditEventsRequest) =>
      listAuditEvents(parts, request),
    ),
  };
}

/** Lists what was done and what was refused, newest first. */
export async function* listAuditEvents(
  { sql }: Parts,
  { since, user, limit }: ListAuditEventsRequest,
): AsyncGenerator<ListAuditEventsResponse> {
  checkText(user);
  let left = limit === 0 ? Number.MAX_SAFE_INTEGER : limit;
  let before = Number.MAX_SAFE_INTEGER;
  while (left > 0) {
    const page = { since: new Date(since), user, before, limit: Math.min(left, pageMax) };
    const rows = await listAudit(sql, page);
    const last = rows.at(-1);
    if (!last) return;
    yield { events: rows.map(toMessage) };
    before = last.number;
    left -= rows.length;
  }
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
