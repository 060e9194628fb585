/**
 * Objects that were fetched to be looked at, kept for the next command. A cache is allowed to be
 * gone, damaged, full, read-only, or in use by other commands: nothing here ever fails, and what
 * does not read back as it was is fetched again.
 *
 * Entries lie in `CACHE/xx/HASH`, encoded. Each of the 64 directories holds its share of the
 * bytes; when one grows over it, what was not used for the longest time goes.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { toHex, type Hash } from "#core/hash.ts";
import { cacheBytesMax, cacheEntryBytesMax } from "#core/limits.ts";
import { decodeObject, inspectObject } from "#core/object.ts";
import type { Blob } from "#rpc/blobs.ts";
import type { Environment } from "./config.ts";
import type { Remote } from "./remote.ts";

export type ObjectCache = Disposable & {
  /** Whether there is something under the hash; `get` may still find it damaged. */
  has(hash: Hash): boolean;
  /** An object as it was put, or nothing. */
  get(hash: Hash): Uint8Array | undefined;
  put(hash: Hash, encoded: Uint8Array): void;
};

const directoryCount = 64;
// So that one look at something huge does not push out everything else.
const shareOfCommand = 1 / 4;

/** Directory of what the user's commands may keep and lose. */
export function cacheDirectory(environment: Environment): string {
  const home = environment["HOME"] || homedir();
  if (process.platform === "win32") {
    const local = environment["LOCALAPPDATA"] || join(home, "AppData", "Local");
    return join(local, "pogo", "objects");
  }
  return join(environment["XDG_CACHE_HOME"] || join(home, ".cache"), "pogo", "objects");
}

/** Opens a cache; closing it removes what is too much. */
export function openObjectCache(directory: string, bytesMax = cacheBytesMax): ObjectCache {
  const grown = new Set<string>();
  let putBytesLeft = bytesMax * shareOfCommand;

  return {
    has: (hash) => attempt(() => statSync(pathOf(directory, hash)).isFile()) ?? false,
    get(hash) {
      const path = pathOf(directory, hash);
      const encoded = attempt(() => readFileSync(path));
      if (!encoded) return undefined;
      if (attempt(() => decodeObject(hash, encoded)) === undefined) {
        attempt(() => rmSync(path, { force: true }));
        return undefined;
      }
      const now = new Date();
      attempt(() => utimesSync(path, now, now));
      return encoded;
    },
    put(hash, encoded) {
      if (encoded.length > Math.min(cacheEntryBytesMax, putBytesLeft)) return;
      // Neither says anything of its own that could be verified.
      const codec = attempt(() => inspectObject(encoded).codec);
      if (codec === "chunks" || codec === "tombstone") return;
      putBytesLeft -= encoded.length;
      const path = pathOf(directory, hash);
      const shard = join(path, "..");
      const scratch = `${path}.${process.pid}.${crypto.randomUUID()}`;
      const isPut = attempt(() => {
        mkdirSync(shard, { recursive: true, mode: 0o700 });
        writeFileSync(scratch, encoded, { mode: 0o600 });
        renameSync(scratch, path);
        return true;
      });
      grown.add(shard);
      // Nothing more is tried where nothing can be written.
      if (!isPut) putBytesLeft = 0;
    },
    [Symbol.dispose]() {
      for (const shard of grown) trim(shard, bytesMax / directoryCount);
    },
  };
}

/** A remote that looks into a cache first, and keeps there what it fetched. */
export function cachedRemote(remote: Remote, cache: ObjectCache): Remote {
  async function* getObjects(hashes: Hash[]): AsyncGenerator<Blob> {
    const missing = hashes.filter((hash) => !cache.has(hash));
    const asked = new Set(missing);
    const fetched = remote.getObjects(missing);
    try {
      for (const hash of hashes) {
        const bytes = asked.has(hash) ? undefined : cache.get(hash);
        if (bytes) {
          yield { hash, bytes };
        } else if (asked.has(hash)) {
          const next = await fetched.next();
          if (next.done) return;
          cache.put(hash, next.value.bytes);
          yield next.value;
        } else {
          // It turned out to be damaged, or was removed meanwhile.
          for await (const blob of remote.getObjects([hash])) {
            cache.put(hash, blob.bytes);
            yield blob;
          }
        }
      }
      // The server is told off here if it sent too many.
      if (missing.length > 0) await fetched.next();
    } finally {
      await fetched.return(undefined);
    }
  }
  return { ...remote, getObjects };
}

function pathOf(directory: string, hash: Hash): string {
  const shard = (hash[0]! % directoryCount).toString(16).padStart(2, "0");
  return join(directory, shard, toHex(hash));
}

function trim(shard: string, bytesMax: number): void {
  attempt(() => {
    const entries = readdirSync(shard).flatMap((name) => {
      const path = join(shard, name);
      const stat = attempt(() => statSync(path));
      return stat ? [{ path, size: stat.size, usedMs: stat.mtimeMs }] : [];
    });
    let total = entries.reduce((sum, { size }) => sum + size, 0);
    entries.sort((a, b) => a.usedMs - b.usedMs);
    for (const { path, size } of entries) {
      if (total <= bytesMax) return;
      attempt(() => rmSync(path, { force: true }));
      total -= size;
    }
  });
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
