/** A route that does what a call of the protocol does: the same people may, and are told apart. */
import { isPogoError, type ErrorCode, type PogoError } from "#core/errors.ts";
import type { Caller } from "../auth.ts";
import type { CallHandlers } from "../services/calls.ts";
import { text, type WebAnswer, type WebRequest } from "./answer.ts";

type AskedRoute = {
  request: WebRequest;
  /** Path of the call's method. */
  method: string;
  /** The call's request. */
  asked: unknown;
};

type WhileValid = <T>(stream: AsyncIterable<T>) => AsyncIterable<T>;

const statuses: Record<ErrorCode, number> = {
  usage: 400,
  "not-found": 404,
  "already-exists": 409,
  conflict: 409,
  denied: 403,
  unavailable: 503,
  corrupt: 500,
  obliterated: 410,
  internal: 500,
};

/** Answers whoever may make the call, and tells everybody else why not. */
export async function answerCall(
  calls: CallHandlers,
  { request, method, asked }: AskedRoute,
  handle: (caller: Caller | undefined, whileValid: WhileValid) => Promise<WebAnswer>,
): Promise<WebAnswer> {
  const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  const begun = calls.begin({ token, method, address: request.address }, asked);
  let caller: Caller | undefined;
  try {
    caller = await begun.admit();
    return await handle(caller, begun.whileValid);
  } catch (error) {
    const failure = await begun.failed(error);
    if (!isPogoError(failure) || failure.code === "internal") throw failure;
    return refusal(failure, caller);
  }
}

function refusal(
  { code, message, hint, retryMs }: PogoError,
  caller: Caller | undefined,
): WebAnswer {
  const said = hint === undefined ? `${message}\n` : `${message}\n${hint}\n`;
  // Who said nothing, or nothing true, of who it is may try again.
  if (code === "denied" && !caller) return text(401, said, { "www-authenticate": "Bearer" });
  if (retryMs !== undefined) {
    return text(429, said, { "retry-after": String(Math.ceil(retryMs / 1000)) });
  }
  return text(statuses[code], said);
}
