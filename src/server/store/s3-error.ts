import { PogoError } from "#core/errors.ts";
import type { S3Location } from "./location.ts";

class TimedOut extends Error {
  override readonly name = "TimedOut";
}

const hints: Record<string, string> = {
  NoSuchBucket: "create the bucket, or correct its name in --objects",
  AccessDenied: "let these keys list, read, write and delete objects in the bucket",
  InvalidAccessKeyId: "correct AWS_ACCESS_KEY_ID",
  SignatureDoesNotMatch: "correct AWS_SECRET_ACCESS_KEY, and the machine's clock",
  RequestTimeTooSkewed: "correct the machine's clock",
  ExpiredToken: "set a new AWS_SESSION_TOKEN, and restart the server",
  AuthorizationHeaderMalformed: "set AWS_REGION to the region of the bucket",
  PermanentRedirect: "set AWS_REGION to the region of the bucket",
};

// What the service says when it asks to be asked again, and what a request may meet on its way.
const transient =
  /^(InternalError|SlowDown|ServiceUnavailable|RequestTimeout|Throttling\w*|TooManyRequests|UnknownError|OperationAborted|Connection\w*|ECONN\w+|EPIPE|ETIMEDOUT|FailedToOpenSocket|Timeout|HTTP\w*|\w*Closed|DNS\w*|EAI_AGAIN)$/;

/** Tells whether there is nothing under the key. */
export function isNoSuchKey(error: unknown): boolean {
  return codeOf(error) === "NoSuchKey";
}

/** Tells whether a range was refused because the object has no bytes at all. */
export function isEmptyRange(error: unknown): boolean {
  return codeOf(error) === "InvalidRange";
}

/** Tells whether the same request may succeed a little later. */
export function isTransient(error: unknown): boolean {
  return error instanceof TimedOut || transient.test(codeOf(error));
}

/** Waits for a request, but not for ever: a connection may be silent and open. */
export async function withinTime<T>(ms: number, request: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new TimedOut(`no answer in ${ms / 1000} s`)), ms);
  try {
    return await Promise.race([request, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Turns a failure of the service into what an operator can act on. */
export function s3Error(error: unknown, verb: string, { bucket, endpoint }: S3Location): unknown {
  const code = codeOf(error);
  if (code === "" && !(error instanceof TimedOut)) return error;
  const where = `s3://${bucket}${endpoint === undefined ? "" : ` at ${endpoint}`}`;
  const what = error instanceof Error && error.message !== "" ? error.message : code;
  const message = `cannot ${verb} objects in ${where}: ${lowerFirst(what.replace(/\.$/, ""))}`;
  const hint = hints[code] ?? "look whether the service is up and can be reached";
  return new PogoError("unavailable", message, { hint, cause: error });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
