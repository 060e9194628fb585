import { Database } from "bun:sqlite";
import { accessSync, closeSync, constants, openSync } from "node:fs";

import { PogoError } from "#core/errors.ts";

/**
 * Takes a file for this process alone, or nothing if somebody has it. The lock is SQLite's: unlike
 * a file with a process id it ends with its holder, however that ends, and works on every system.
 */
export function lockFile(path: string): Disposable | undefined {
  makeLockFile(path);
  // SQLite would not say why it cannot.
  accessSync(path, constants.R_OK | constants.W_OK);
  return hold(path, { readwrite: true }, ["begin exclusive"]);
}

/** Keeps others from taking a file that is there, or nothing if somebody has it. */
export function shareFile(path: string): Disposable | undefined {
  accessSync(path, constants.R_OK);
  return hold(path, { readonly: true }, ["begin", "select 1 from sqlite_schema"]);
}

/** Makes the file for others. It must not be opened: to close it again would end all its locks. */
export function makeLockFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

function hold(
  path: string,
  mode: { readonly: true } | { readwrite: true },
  statements: string[],
): Disposable | undefined {
  const lock = new Database(path, mode);
  try {
    for (const statement of ["pragma busy_timeout = 0", ...statements]) lock.run(statement);
  } catch (cause) {
    lock.close();
    if ((cause as { code?: unknown }).code === "SQLITE_BUSY") return undefined;
    throw new PogoError("unavailable", `${path} cannot be locked`, {
      hint: "use a file system that has locks",
      cause,
    });
  }
  return { [Symbol.dispose]: () => lock.close() };
}
