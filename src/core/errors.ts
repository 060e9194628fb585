/** Every way in which Pogo may refuse: each has its own exit code and wire status. */
export type ErrorCode =
  | "usage"
  | "not-found"
  | "already-exists"
  | "conflict"
  | "denied"
  | "unavailable"
  | "corrupt"
  | "obliterated"
  | "internal";

/** Process exit code of a command that failed with the code. */
export const exitCodes: Record<ErrorCode, number> = {
  internal: 1,
  usage: 2,
  "not-found": 3,
  "already-exists": 4,
  conflict: 5,
  denied: 6,
  unavailable: 7,
  corrupt: 8,
  obliterated: 9,
};

/** An expected failure: what happened, and in `hint` the command to type next. */
export class PogoError extends Error {
  override readonly name = "PogoError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** When it may be tried again, in milliseconds, for what was only too much at once. */
  readonly retryMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; retryMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.retryMs = options.retryMs;
  }
}

/** Throws a plain error, a bug, unless the condition holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}

/** Tells whether a failure is a PogoError, of the given code if one is named. */
export function isPogoError(error: unknown, code?: ErrorCode): error is PogoError {
  return error instanceof PogoError && (code === undefined || error.code === code);
}
