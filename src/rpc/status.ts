/**
 * The one place that maps Pogo's errors to gRPC statuses and back. A status carries the code and
 * the hint in metadata, so that an expected failure crosses the wire unchanged.
 */
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";

import { exitCodes, isPogoError, PogoError, type ErrorCode } from "#core/errors.ts";

const statuses: Record<ErrorCode, status> = {
  usage: status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  "already-exists": status.ALREADY_EXISTS,
  conflict: status.ABORTED,
  denied: status.PERMISSION_DENIED,
  unavailable: status.UNAVAILABLE,
  corrupt: status.DATA_LOSS,
  obliterated: status.FAILED_PRECONDITION,
  internal: status.INTERNAL,
};

const codeKey = "pogo-code";
const hintKey = "pogo-hint-bin";
const retryKey = "pogo-retry-ms";

/** What the server sends for a failure. Bugs are only "internal error" on the wire. */
export function toStatus(error: unknown): { code: status; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  const known = isPogoError(error) ? error : new PogoError("internal", "internal error");
  metadata.set(codeKey, known.code);
  if (known.hint !== undefined) metadata.set(hintKey, Buffer.from(known.hint));
  if (known.retryMs !== undefined) metadata.set(retryKey, String(known.retryMs));
  return { code: statuses[known.code], details: known.message, metadata };
}

/** What the client throws for a status that is not OK. */
export function fromStatus(error: ServiceError, address: string, isPinned = false): PogoError {
  const code = error.metadata?.get(codeKey)[0]?.toString();
  if (code !== undefined && Object.hasOwn(exitCodes, code)) {
    const hint = error.metadata.get(hintKey)[0]?.toString();
    const retryMs = retryMsOf(error);
    return new PogoError(code as ErrorCode, error.details, { hint, retryMs, cause: error });
  }
  return distrust(error, address, isPinned) ?? fromTransport(error, address);
}

/** When the server wants to be asked again, in milliseconds, if it only was asked too often. */
export function retryMsOf({ metadata }: ServiceError): number | undefined {
  const text = metadata?.get(retryKey)[0]?.toString() ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Tells whether no connection came about because of the server's certificate. */
export function isDistrusted({ details }: ServiceError): boolean {
  return /certificate|altnames|Cert's CN/i.test(details);
}

function distrust(error: ServiceError, address: string, isPinned: boolean): PogoError | undefined {
  if (!isDistrusted(error)) return undefined;
  const url = `https://${address}`;
  if (isPinned) {
    const message = `the certificate of ${address} is not the one that was trusted`;
    return new PogoError("denied", message, {
      hint: `somebody may be in between; if it was replaced: pogo login ${url} --fingerprint …`,
      cause: error,
    });
  }
  const why = /Last error: \w+(?: \[\w+\])?: (.*?)\.? Resolution note/.exec(error.details)?.[1];
  return new PogoError("denied", `the certificate of ${address} is not trusted: ${why ?? ""}`, {
    hint: `if it is the server's own, look at it: pogo login ${url}`,
    cause: error,
  });
}

// Statuses that gRPC itself makes: nobody at the other end chose them.
function fromTransport(error: ServiceError, address: string): PogoError {
  const cause = error;
  switch (error.code) {
    case status.UNAVAILABLE: {
      // Nothing listens there, or the connection broke while the call was under way.
      const refused = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH/.exec(error.details);
      const why = refused ? ` (${refused[0]})` : "";
      return new PogoError("unavailable", `cannot reach the server at ${address}${why}`, {
        hint: "check the address and that the server runs, then run the command again",
        cause,
      });
    }
    case status.DEADLINE_EXCEEDED:
      return new PogoError("unavailable", `the server at ${address} did not answer in time`, {
        hint: "run the command again",
        cause,
      });
    case status.CANCELLED:
      return new PogoError("unavailable", "the call was cancelled", { cause });
    case status.RESOURCE_EXHAUSTED:
      return new PogoError("usage", `message too large for the server at ${address}`, { cause });
    case status.UNIMPLEMENTED:
      return new PogoError("unavailable", `the server at ${address} does not know this call`, {
        hint: "the server is older or newer than this pogo: compare pogo --version on both sides",
        cause,
      });
    default:
      // Half a stream, garbage, or something that is not a Pogo server.
      return new PogoError("unavailable", `the server at ${address} answered: ${error.details}`, {
        cause,
      });
  }
}
