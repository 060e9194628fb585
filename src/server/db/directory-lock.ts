import { Database } from "bun:sqlite";
import { chmodSync } from "node:fs";

import { PogoError } from "#core/errors.ts";

/**
 * Takes a data directory for this process alone. The lock is SQLite's on a file: unlike a file
 * with a process id it ends with its holder, however that ends, and it works on every system.
 */
export function lockDirectory(directory: string): Disposable {
  const lock = new Database(`${directory}.lock`, { create: true });
  try {
    chmodSync(`${directory}.lock`, 0o600);
    lock.run("pragma busy_timeout = 0");
    lock.run("begin exclusive");
  } catch (error) {
    lock.close();
    throw new PogoError("unavailable", `data directory ${directory} is in use by another server`, {
      hint: "stop that server, or give this one another directory with --data",
      cause: error,
    });
  }
  return {
    [Symbol.dispose]() {
      lock.close();
    },
  };
}
