/** Notes for the audit log: what was done, with its doing; and what was refused. */
import { isPogoError } from "#core/errors.ts";
import { refusalRepeatedMs, refusalsRememberedMax } from "#core/limits.ts";
import type { Json } from "#core/operation.ts";
import type { Call } from "#rpc/serve.ts";
import { unknownRepository, type AskedCall, type Caller } from "../auth.ts";
import { appendAudit } from "../db/audit.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import { callName } from "./needs.ts";

/** Notes what the caller does, at the end of the transaction that does it. */
export async function audit(
  tx: Queries,
  { userId, userName, token, address, method }: Caller,
  event: { repositoryName?: string; details: { readonly [key: string]: Json } },
): Promise<void> {
  await appendAudit(tx, {
    userId,
    userName,
    tokenName: token.name,
    address,
    action: callName(method),
    repositoryName: event.repositoryName ?? null,
    allowed: true,
    details: event.details,
  });
}

/** Notes what somebody did to get a token, who has none to call with yet. */
export async function auditLogin(
  tx: Queries,
  { address, method }: Call,
  { userId, userName }: { userId: number; userName: string },
  event: { repositoryName?: string; details: { readonly [key: string]: Json } },
): Promise<void> {
  await appendAudit(tx, {
    userId,
    userName,
    tokenName: null,
    address,
    action: callName(method),
    repositoryName: event.repositoryName ?? null,
    allowed: true,
    details: event.details,
  });
}

/**
 * Makes what notes refusals. The same caller, from the same place, refused the same call again
 * within a minute, is in the log already.
 */
export function openRefusals(sql: Sql) {
  const noted = new Map<string, number>();

  /** Notes why a call failed, if it was refused. */
  return async (
    call: AskedCall,
    caller: Caller | undefined,
    request: unknown,
    error: unknown,
  ): Promise<void> => {
    if (!isPogoError(error)) return;
    if (error.code !== "denied" && error.cause !== unknownRepository) return;
    const { address, method } = call;
    const action = callName(method);
    const now = Date.now();
    const key = JSON.stringify([caller?.userId, address, action]);
    if (now - (noted.get(key) ?? 0) < refusalRepeatedMs) return;
    if (noted.size >= refusalsRememberedMax) noted.clear();
    noted.set(key, now);
    const event = {
      userId: caller?.userId ?? null,
      userName: caller?.userName ?? null,
      tokenName: caller?.token.name ?? null,
      address,
      action,
      repositoryName: repositoryNamed(request),
      allowed: false,
      details: { reason: error.message },
    };
    // The caller is refused in any case, and told why.
    await transaction(sql, (tx) => appendAudit(tx, event)).catch(() => {});
  };
}

function repositoryNamed(request: unknown): string | null {
  if (typeof request !== "object" || request === null || !("repository" in request)) return null;
  const { repository } = request;
  // As long as a name can be: what is no name is told by the reason.
  return typeof repository === "string" && /^[\w.-]{1,100}$/.test(repository) ? repository : null;
}
