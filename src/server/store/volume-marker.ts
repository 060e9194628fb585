/**
 * What tells a volume from an empty mount point: a file in it that says which volume it is, and
 * which others it shares the objects with.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { PogoError } from "#core/errors.ts";

/** Directories of volumes by their id, as they were at the last start. */
type Known = Record<string, string>;
type Marker = { id: string; volumes: Known };

/** A volume as it is named; `isNew` when nobody knew it before. */
export type FoundVolume = { id: string; directory: string };

const markerName = "volume.json";

/** Tells whether a directory is one of several volumes. */
export function hasMarker(directory: string): boolean {
  return existsSync(join(directory, markerName));
}

/** Tells whether the directory is that volume at the moment, and not what it is mounted over. */
export function isMounted({ id, directory }: FoundVolume): boolean {
  try {
    return readMarker(directory)?.id === id;
  } catch {
    return false;
  }
}

/**
 * Says which volumes the directories are, and makes those that are new. One that was known and is
 * empty now is not made anew: somebody forgot to mount it.
 */
export function findVolumes(directories: readonly string[]): FoundVolume[] {
  const markers = directories.map(readMarker);
  const known: Known = Object.assign({}, ...markers.map((marker) => marker?.volumes ?? {}));
  const volumes = directories.map((directory, index): FoundVolume => {
    const marker = markers[index];
    if (marker) return { id: marker.id, directory };
    const missing = Object.entries(known).find(([, at]) => at === directory)?.[0];
    return { id: missing ?? randomBytes(8).toString("hex"), directory };
  });
  checkAllNamed(known, volumes);
  const now: Known = Object.fromEntries(volumes.map(({ id, directory }) => [id, directory]));
  for (const [index, { id, directory }] of volumes.entries()) {
    const isMissing = !markers[index] && id in known;
    if (!isMissing && !Bun.deepEquals(markers[index]?.volumes, now)) {
      writeMarker(directory, { id, volumes: now });
    }
  }
  return volumes;
}

function checkAllNamed(known: Known, volumes: readonly FoundVolume[]): void {
  const ids = new Set(volumes.map(({ id }) => id));
  if (ids.size < volumes.length) {
    throw new PogoError("usage", "two of the volumes are copies of one another");
  }
  const left = Object.entries(known).find(([id]) => !ids.has(id));
  if (!left) return;
  const names = [...volumes.map(({ directory }) => directory), left[1]];
  throw new PogoError("usage", `there are objects on ${left[1]} too, which is not named`, {
    hint: `--objects ${names.join(",")}; a volume that is lost is taken out of ${markerName}`,
  });
}

function readMarker(directory: string): Marker | undefined {
  const path = join(directory, markerName);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
  try {
    const marker = JSON.parse(text) as Partial<Marker>;
    if (/^[0-9a-f]{16}$/.test(marker.id ?? "") && typeof marker.volumes === "object") {
      return marker as Marker;
    }
  } catch {
    // Told as damaged, below.
  }
  throw new PogoError("corrupt", `${path} is damaged`, {
    hint: `put back what it was: {"id": "…", "volumes": {"…": "DIR"}}, as in the other volumes`,
  });
}

function writeMarker(directory: string, marker: Marker): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, markerName);
  const temporary = `${path}.${randomBytes(4).toString("hex")}`;
  writeFileSync(temporary, `${JSON.stringify(marker, undefined, 2)}\n`, { flush: true });
  renameSync(temporary, path);
}
