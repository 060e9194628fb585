/** A store far away, with a directory near by that holds what was last put or read. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { hashKey, keyHash, toHex, type Hash } from "#core/hash.ts";
import { isWhole, type ObjectStore } from "./store.ts";

export type CacheOptions = { directory: string; bytesMax: number };

// The index is in memory, some 150 bytes an object.
const entriesMax = 200_000;
// One that is larger would push out too many others.
const shareMax = 1 / 8;

/** Puts a cache before a store. What is in the cache was in the store, and may be lost. */
export async function openCachedStore(
  remote: ObjectStore,
  options: CacheOptions,
): Promise<ObjectStore> {
  const cache = new Cache(options);
  await cache.open();
  return {
    async putAll(objects) {
      await remote.putAll(objects);
      for (const { hash, encoded } of objects) await cache.put(hash, encoded);
    },
    async get(hash) {
      const cached = await cache.get(hash);
      if (cached) return cached;
      const encoded = await remote.get(hash);
      await cache.put(hash, encoded);
      return encoded;
    },
    has: (hash) => remote.has(hash),
    async delete(hash) {
      await cache.delete(hash);
      await remote.delete(hash);
    },
    list: () => remote.list(),
    [Symbol.asyncDispose]: () => remote[Symbol.asyncDispose](),
  };
}

/** Files that nobody needs: whatever goes wrong with one, it is as if it were not there. */
class Cache {
  readonly #directory: string;
  readonly #bytesMax: number;
  /** Sizes, what was used last at the end. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  constructor({ directory, bytesMax }: CacheOptions) {
    this.#directory = directory;
    this.#bytesMax = bytesMax;
  }

  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const found: { key: string; size: number; mtimeMs: number }[] = [];
    for (const name of await readdir(this.#directory, { recursive: true })) {
      const path = join(this.#directory, name);
      const hex = /^([0-9a-f]{2})[/\\](\1[0-9a-f]{62})$/.exec(name)?.[2];
      if (hex === undefined) {
        // Half of something that a killed server wrote.
        if (name.endsWith(".new")) await rm(path, { force: true });
        continue;
      }
      const { size, mtimeMs } = await stat(path);
      found.push({ key: hashKey(Uint8Array.fromHex(hex)), size, mtimeMs });
    }
    found.sort((a, b) => a.mtimeMs - b.mtimeMs);
    for (const { key, size } of found) this.#note(key, size);
    await this.#evict();
  }

  async get(hash: Hash): Promise<Uint8Array | undefined> {
    const key = hashKey(hash);
    const size = this.#sizes.get(key);
    if (size === undefined) return undefined;
    const encoded = await readFile(this.#pathOf(hash)).catch(() => undefined);
    if (!encoded || !isWhole(encoded)) {
      await this.delete(hash);
      return undefined;
    }
    this.#forget(key);
    this.#note(key, size);
    return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  }

  async put(hash: Hash, encoded: Uint8Array): Promise<void> {
    const key = hashKey(hash);
    if (this.#sizes.has(key) || encoded.length > this.#bytesMax * shareMax) return;
    const path = this.#pathOf(hash);
    const temporary = `${path}.${randomBytes(8).toString("hex")}.new`;
    try {
      await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
      await writeFile(temporary, encoded, { mode: 0o600 });
      await rename(temporary, path);
    } catch {
      await rm(temporary, { force: true }).catch(() => {});
      return;
    }
    this.#forget(key);
    this.#note(key, encoded.length);
    await this.#evict();
  }

  async delete(hash: Hash): Promise<void> {
    this.#forget(hashKey(hash));
    await rm(this.#pathOf(hash), { force: true }).catch(() => {});
  }

  async #evict(): Promise<void> {
    for (const key of this.#sizes.keys()) {
      if (this.#bytes <= this.#bytesMax && this.#sizes.size <= entriesMax) return;
      await this.delete(keyHash(key));
    }
  }

  #note(key: string, size: number): void {
    this.#sizes.set(key, size);
    this.#bytes += size;
  }

  #forget(key: string): void {
    this.#bytes -= this.#sizes.get(key) ?? 0;
    this.#sizes.delete(key);
  }

  #pathOf(hash: Hash): string {
    const name = toHex(hash);
    return join(this.#directory, name.slice(0, 2), name);
  }
}
