import { isPogoError, PogoError } from "#core/errors.ts";

/** Runs something that writes, and says in our words what keeps it from writing. */
export function writing<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw isPogoError(error) ? error : explain(path, error);
  }
}

function explain(path: string, cause: unknown): unknown {
  const { code, message } = cause as NodeJS.ErrnoException;
  const name = JSON.stringify(path);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new PogoError("unavailable", `no space left to write ${name}`, {
      cause,
      hint: "free some space, then run the command again",
    });
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new PogoError("denied", `cannot write ${name}: ${message}`, {
      cause,
      hint: "make the working copy writable, then run the command again",
    });
  }
  if (code === undefined) return cause;
  return new PogoError("unavailable", `cannot write ${name}: ${message}`, { cause });
}
