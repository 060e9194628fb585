import { expect, test } from "bun:test";
import { readdirSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";

import { openObjectCache } from "#client/object-cache.ts";
import { sha256 } from "#core/hash.ts";
import { encodeChunkList, encodeObject } from "#core/object.ts";
import { temporaryDirectory } from "../support/workspace.ts";

const noise = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));

test("an object that was put is there for the next command", () => {
  using directory = temporaryDirectory();
  const raw = noise(100);
  const hash = sha256(raw);
  {
    using cache = openObjectCache(directory.path);
    expect(cache.get(hash)).toBeUndefined();
    cache.put(hash, encodeObject(raw));
  }
  using cache = openObjectCache(directory.path);
  expect(cache.has(hash)).toBe(true);
  expect(Buffer.from(cache.get(hash)!)).toEqual(Buffer.from(encodeObject(raw)));
});

test("contents under another's hash are nothing, and gone", () => {
  using directory = temporaryDirectory();
  using cache = openObjectCache(directory.path);
  const hash = sha256(noise(100));
  cache.put(hash, encodeObject(noise(100)));
  expect(cache.get(hash)).toBeUndefined();
  expect(cache.has(hash)).toBe(false);
});

test("lists of chunks and objects that are large are not kept", () => {
  using directory = temporaryDirectory();
  using cache = openObjectCache(directory.path);
  const [large, list] = [noise(2 * 1024 * 1024), noise(32)];
  cache.put(sha256(large), encodeObject(large));
  cache.put(list, encodeChunkList([{ hash: sha256(large), size: large.length }]));
  expect([cache.has(sha256(large)), cache.has(list)]).toEqual([false, false]);
});

test("a cache stays within its bound, and keeps what was used last", () => {
  using directory = temporaryDirectory();
  const bytesMax = 64 * 5000;
  const used = noise(1000);
  const hashes = [];
  for (let command = 0; command < 10; command++) {
    using cache = openObjectCache(directory.path, bytesMax);
    if (command === 0) cache.put(sha256(used), encodeObject(used));
    for (let count = 0; count < 70; count++) {
      const raw = noise(1000);
      hashes.push(sha256(raw));
      cache.put(sha256(raw), encodeObject(raw));
    }
    // As if that had been a while ago.
    for (const path of filesIn(directory.path)) {
      if (statSync(path).mtimeMs > 1_000_000) utimesSync(path, command, command);
    }
    expect(cache.get(sha256(used))).toBeDefined();
  }
  const sizes = filesIn(directory.path).map((path) => statSync(path).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  expect(total).toBeLessThanOrEqual(bytesMax);
  expect(total).toBeGreaterThan(bytesMax / 2);
  using cache = openObjectCache(directory.path, bytesMax);
  expect(cache.has(sha256(used))).toBe(true);
  expect(cache.has(hashes[0]!)).toBe(false);
});

test("one command fills a part of the cache at most", () => {
  using directory = temporaryDirectory();
  using cache = openObjectCache(directory.path, 40_000);
  for (let count = 0; count < 100; count++) {
    const raw = noise(1000);
    cache.put(sha256(raw), encodeObject(raw));
  }
  expect(filesIn(directory.path)).toHaveLength(9);
});

test("a directory that is none is an empty cache", () => {
  using cache = openObjectCache("/dev/null/cache");
  const raw = noise(10);
  cache.put(sha256(raw), encodeObject(raw));
  expect([cache.has(sha256(raw)), cache.get(sha256(raw))]).toEqual([false, undefined]);
});

function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}
