import { type ErrorCode, PogoError } from "#core/errors.ts";

// What users meet, in the words they know. Any other errno is "unavailable" and speaks for itself.
const known: Record<string, [ErrorCode, string]> = {
  ENOENT: ["not-found", "no such file or directory"],
  EACCES: ["denied", "permission denied"],
  EPERM: ["denied", "operation not permitted"],
  EROFS: ["denied", "read-only file system"],
  EEXIST: ["already-exists", "file exists"],
  ENOSPC: ["unavailable", "no space left on device"],
  EDQUOT: ["unavailable", "disk quota exceeded"],
  EMFILE: ["unavailable", "too many open files"],
  EIO: ["corrupt", "input/output error"],
};

/** An operating system's refusal as an expected failure; nothing for any other error. */
export function systemError(error: unknown): PogoError | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  const errno = String(error.code);
  const [code, words] = known[errno] ?? ["unavailable", `system error ${errno}`];
  const path = "path" in error && typeof error.path === "string" ? error.path : undefined;
  const doing = `${String(error.syscall)}${path ? ` ${JSON.stringify(path)}` : ""}`;
  return new PogoError(code, `${words}: ${doing}`, { cause: error });
}
