import { PogoError } from "#core/errors.ts";

type Explanation = { what: string; hint: (directory: string) => string };

const explanations: Record<string, Explanation> = {
  ENOSPC: { what: "the disk is full", hint: (at) => `free space on the volume of ${at}` },
  EDQUOT: {
    what: "the disk quota is used up",
    hint: (at) => `free space or raise the quota of ${at}`,
  },
  EACCES: { what: "permission denied", hint: ownerHint },
  EPERM: { what: "permission denied", hint: ownerHint },
  EROFS: { what: "the file system is read-only", hint: (at) => `mount ${at} writable` },
  ENOENT: { what: "the directory is gone", hint: (at) => `restore ${at}, then restart the server` },
  ENOTDIR: { what: "not a directory", hint: (at) => `move what stands at ${at} out of the way` },
  EEXIST: { what: "not a directory", hint: (at) => `move what stands at ${at} out of the way` },
  EMFILE: { what: "too many open files", hint: () => "raise the limit: ulimit -n 65536" },
  ENFILE: { what: "too many open files", hint: () => "raise the limit: sysctl fs.file-max" },
  EIO: { what: "the disk reports an error", hint: (at) => `check the disk of ${at}: see dmesg` },
};

/** Name of the system's error, such as ENOSPC, or nothing if it is not the system's. */
export function errno(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/** Turns a system error of the store in `directory` into what an operator can act on. */
export function diskError(error: unknown, verb: string, directory: string): unknown {
  const name = errno(error);
  if (name === undefined) return error;
  const known = explanations[name];
  const message = `cannot ${verb} objects in ${directory}: ${known?.what ?? name}`;
  return new PogoError("unavailable", message, { hint: known?.hint(directory), cause: error });
}

function ownerHint(directory: string): string {
  return `give the server's user write access to ${directory}`;
}
