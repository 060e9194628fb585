/**
 * What says that a data directory is being restored: no server starts on it until all is there,
 * and a restore that was interrupted is known for what it is when it is run again.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { PogoError } from "#core/errors.ts";

/** What is restored, and to where the objects go. */
export type Restoring = { snapshot: string; objects: string };

const pathOf = (dataDirectory: string) => join(dataDirectory, "restoring.json");

/** Says that a restore begins. */
export function beginRestoring(dataDirectory: string, restoring: Restoring): void {
  writeFileSync(pathOf(dataDirectory), JSON.stringify(restoring), { flush: true, mode: 0o600 });
}

/** Tells whether the same restore was begun before and not ended. */
export function wasRestoring(dataDirectory: string, restoring: Restoring): boolean {
  const path = pathOf(dataDirectory);
  return existsSync(path) && readFileSync(path, "utf8") === JSON.stringify(restoring);
}

/** Says that all is there. */
export function endRestoring(dataDirectory: string): void {
  rmSync(pathOf(dataDirectory), { force: true });
}

/** Refuses to serve what is not all there. */
export function refuseHalfRestored(dataDirectory: string): void {
  const path = pathOf(dataDirectory);
  if (!existsSync(path)) return;
  throw new PogoError("unavailable", `a restore into ${dataDirectory} was not finished`, {
    hint: `run it again: pogo admin restore; to give it up, delete what is there and ${path}`,
  });
}
