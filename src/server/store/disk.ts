/**
 * Objects as files: `aa/aa12…` below one directory, named by the whole SHA-256 in hexadecimal.
 *
 * A put writes all objects under `incoming/`, makes them durable together, renames them, and
 * makes the directories durable. So a name stands for whole, durable bytes at every moment, and a
 * put that was interrupted leaves nothing but files under `incoming/`.
 *
 * Several servers may share the directory. Each writes below a directory of its own in
 * `incoming/`; one that nobody touched for a day is a dead server's and is removed at the next
 * start. If it was only asleep, its next put makes a new one, and one under way fails at the
 * rename and is not acknowledged.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toHex, type Hash } from "#core/hash.ts";
import { abandonedMs } from "#core/limits.ts";
import { encodedBytesMax } from "#core/object.ts";
import { readWholeFile, writeNewFile } from "#native/files.ts";
import { syncFileSystem } from "#native/sync.ts";
import { diskError, errno } from "./disk-error.ts";
import {
  checkObject,
  isWhole,
  missingObject,
  type ObjectStore,
  type StoredObject,
} from "./store.ts";

const incomingName = "incoming";
// A put of more files than this flushes the file system, which also flushes what others wrote.
const syncEachMax = 16;
const syncConcurrency = 8;
// Other calls get their turn when a put has worked for so long.
const turnMs = 4;
// Shorter files are read and written before another thread could take them on.
const threadBytesMin = 256 * 1024;

/** Opens the store in a directory and creates it if need be. */
export async function openDiskStore(directory: string): Promise<ObjectStore> {
  const store = new DiskStore(directory);
  await store.open();
  return store;
}

type Pending = { temporary: string; path: string };

class DiskStore implements ObjectStore {
  readonly #directory: string;
  readonly #incoming: string;
  readonly #knownDirectories = new Set<string>();
  readonly #groupSync: () => Promise<boolean>;
  #sequence = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.#incoming = join(directory, incomingName, randomBytes(8).toString("hex"));
    this.#groupSync = grouped(() => syncFileSystem(directory));
  }

  async open(): Promise<void> {
    await this.#explain("open", async () => {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      await removeAbandoned(join(this.#directory, incomingName));
    });
  }

  async putAll(objects: readonly StoredObject[]): Promise<void> {
    for (const { hash, encoded } of objects) checkObject(hash, encoded);
    await this.#explain("write", async () => {
      const touched = new Set<string>();
      const pending: Pending[] = [];
      try {
        await this.#writeAll(objects, pending, touched);
        await this.#syncFiles(pending);
        await inTurns(pending, ({ temporary, path }) => renameSync(temporary, path));
        await this.#syncDirectories(touched);
      } catch (error) {
        for (const { temporary } of pending) rmSync(temporary, { force: true });
        throw error;
      }
    });
  }

  async get(hash: Hash): Promise<Uint8Array> {
    const encoded = await this.#read(hash);
    if (!encoded) throw missingObject(hash);
    checkObject(hash, encoded);
    return encoded;
  }

  async has(hash: Hash): Promise<boolean> {
    const encoded = await this.#read(hash);
    return encoded !== undefined && isWhole(encoded);
  }

  async delete(hash: Hash): Promise<void> {
    await this.#explain("delete", async () => {
      rmSync(this.#place(hash).path, { force: true });
    });
  }

  async *list(): AsyncGenerator<Hash> {
    for (const fanOut of await this.#names(this.#directory)) {
      if (!/^[0-9a-f]{2}$/.test(fanOut)) continue;
      for (const name of await this.#names(join(this.#directory, fanOut))) {
        if (/^[0-9a-f]{64}$/.test(name) && name.startsWith(fanOut)) yield Uint8Array.fromHex(name);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#incoming, { recursive: true, force: true });
  }

  async #writeAll(
    objects: readonly StoredObject[],
    pending: Pending[],
    touched: Set<string>,
  ): Promise<void> {
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
    await inTurns(objects, ({ hash, encoded }) => {
      const { fanOut, path } = this.#place(hash);
      this.#makeDirectory(fanOut, touched);
      // One that is there may have been renamed a moment ago by somebody who has not yet synced.
      touched.add(fanOut);
      if (isHeld(path)) return undefined;
      const temporary = join(this.#incoming, String(this.#sequence++));
      pending.push({ temporary, path });
      const mode = 0o600;
      if (encoded.length < threadBytesMin) return writeNewFile(temporary, encoded, mode);
      return writeFile(temporary, encoded, { flag: "wx", mode });
    });
  }

  #makeDirectory(directory: string, touched: Set<string>): void {
    if (this.#knownDirectories.has(directory)) return;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#knownDirectories.add(directory);
    touched.add(this.#directory);
  }

  async #syncFiles(pending: readonly Pending[]): Promise<void> {
    if (pending.length > syncEachMax && (await this.#groupSync())) return;
    await concurrently(pending, ({ temporary }) => syncPath(temporary, "r+"));
  }

  async #syncDirectories(touched: ReadonlySet<string>): Promise<void> {
    // Windows opens no directories, and NTFS journals names by itself.
    if (process.platform === "win32") return;
    if (touched.size > syncEachMax && (await this.#groupSync())) return;
    await concurrently([...touched], (directory) => syncPath(directory, "r"));
  }

  async #read(hash: Hash): Promise<Uint8Array | undefined> {
    const { path } = this.#place(hash);
    try {
      const encoded = readWholeFile(path, threadBytesMin);
      if (encoded.length < threadBytesMin) return encoded;
      // A file that is longer than any object is damaged: cut, it is still damaged.
      const { size } = await stat(path);
      if (size > encodedBytesMax) return encoded;
      const { buffer, byteOffset, byteLength } = await readFile(path);
      return new Uint8Array(buffer, byteOffset, byteLength);
    } catch (error) {
      if (errno(error) === "ENOENT") return undefined;
      throw diskError(error, "read", this.#directory);
    }
  }

  async #names(directory: string): Promise<string[]> {
    return this.#explain("list", async () => readdir(directory));
  }

  #place(hash: Hash): { fanOut: string; path: string } {
    const name = toHex(hash);
    const fanOut = `${this.#directory}/${name.slice(0, 2)}`;
    return { fanOut, path: `${fanOut}/${name}` };
  }

  async #explain<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw diskError(error, verb, this.#directory);
    }
  }
}

function isHeld(path: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })) return false;
  return isWhole(readWholeFile(path, encodedBytesMax));
}

// Runs one job at a time and joins callers: one who comes while a job runs gets the next one.
function grouped<T>(job: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    next ??= running.then(() => {
      const current = job();
      running = current.catch(() => undefined);
      next = undefined;
      return current;
    });
    return next;
  };
}

async function inTurns<T>(
  items: readonly T[],
  work: (item: T) => Promise<void> | void,
): Promise<void> {
  let begun = performance.now();
  for (const item of items) {
    const elsewhere = work(item);
    if (elsewhere) await elsewhere;
    if (performance.now() - begun < turnMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    begun = performance.now();
  }
}

async function concurrently<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  let index = 0;
  const lane = async () => {
    while (index < items.length) await work(items[index++]!);
  };
  await Promise.all(Array.from({ length: Math.min(syncConcurrency, items.length) }, lane));
}

async function syncPath(path: string, flags: "r" | "r+"): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function removeAbandoned(incoming: string): Promise<void> {
  try {
    for (const name of await readdir(incoming)) {
      const path = join(incoming, name);
      const { mtimeMs } = await stat(path);
      if (Date.now() - mtimeMs > abandonedMs) await rm(path, { recursive: true, force: true });
    }
  } catch (error) {
    // Another server cleans at the same time, or the store is only readable.
    if (!["ENOENT", "EACCES", "EPERM", "EROFS"].includes(errno(error) ?? "")) throw error;
  }
}
