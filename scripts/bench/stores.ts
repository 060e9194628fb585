/**
 * Measures what goes through each store: objects of noise are put, each checked by its SHA-256 as
 * the server does, and got, each checked as the client does. Beside it what `cp` and `sha256sum`
 * take for the same bytes in files, one after the other; round after round, so that a machine
 * whose speed drifts treats all alike.
 *
 *   bun scripts/bench/stores.ts [--megabytes 256] [--kilobytes 1000] [--rounds 3]
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { sha256 } from "#core/hash.ts";
import { objectCacheBytesUnlessSaid, putGroupBytes, putGroupCount } from "#core/limits.ts";
import { decodeObject, encodeObject } from "#core/object.ts";
import { readAhead } from "#core/read-ahead.ts";
import type { DataKeys } from "#server/store/encrypted.ts";
import { parseLocation, type StoreLocation } from "#server/store/location.ts";
import { openStore } from "#server/store/open.ts";
import type { ObjectStore, StoredObject } from "#server/store/store.ts";
import { s3Program } from "../s3.ts";
import { median, run } from "./measure.ts";
import { freePort, reachable, remove } from "./systems.ts";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "256" },
    kilobytes: { type: "string", default: "1000" },
    rounds: { type: "string", default: "3" },
  },
});
const objectBytes = Number(values.kilobytes) * 1000;
const objectCount = Math.round((Number(values.megabytes) * 1e6) / objectBytes);
const keys: DataKeys = { current: 1, keys: new Map([[1, noise(32)]]) };

type Case = { name: string; cacheBytes: number; locate(directory: string): StoreLocation };

const scratch = mkdtempSync(join(tmpdir(), "pogo-stores-"));
await using s3 = await startS3();
const cases: Case[] = [
  { name: "disk", cacheBytes: 0, locate: (path) => ({ kind: "disk", directory: path }) },
  { name: "two volumes", cacheBytes: 0, locate: volumesIn },
  { name: "S3", cacheBytes: 0, locate: s3.locate },
  { name: "S3 behind a cache", cacheBytes: objectCacheBytesUnlessSaid, locate: s3.locate },
];
const samples = new Map<string, number[]>();
try {
  const files = join(scratch, "files");
  mkdirSync(files);
  const objects: StoredObject[] = [];
  for (let number = 0; number < objectCount; number++) {
    const raw = noise(objectBytes);
    writeFileSync(join(files, String(number)), raw);
    objects.push({ hash: sha256(raw), encoded: encodeObject(raw) });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    await measureCopy(files, join(scratch, `copy-${round}`));
    for (const one of cases) {
      for (const isSealed of [false, true]) {
        const directory = join(scratch, `store-${round}-${cases.indexOf(one)}-${isSealed}`);
        await measureStore(one, isSealed, directory, objects);
      }
    }
  }
  report();
} finally {
  remove(scratch);
}

async function measureCopy(from: string, to: string): Promise<void> {
  await settle();
  const copied = await run(["cp", "-r", from, to], { cwd: scratch });
  const summed = await run(["sh", "-c", "cat files/* | sha256sum"], { cwd: scratch });
  const synced = await run(["sync", "-f", to], { cwd: scratch });
  note("copy", copied.seconds + summed.seconds);
  note("durable", copied.seconds + summed.seconds + synced.seconds);
  remove(to);
}

async function measureStore(
  { name, cacheBytes, locate }: Case,
  isSealed: boolean,
  directory: string,
  objects: readonly StoredObject[],
): Promise<void> {
  const cache = { directory: `${directory}-cache`, bytesMax: cacheBytes };
  const location = locate(directory);
  const opened = await openStore({ location, cache, keys: isSealed ? keys : undefined });
  await using store = opened.store;
  const row = `${name}${isSealed ? ", encrypted" : ""}`;
  await settle();
  note(`put ${row}`, await time(() => putAll(store, objects)));
  await settle();
  note(`get ${row}`, await time(() => getAll(store, objects)));
  remove(directory);
  remove(cache.directory);
  s3.empty();
}

/** As a push is taken: a group is checked while the one before is stored. */
async function putAll(store: ObjectStore, objects: readonly StoredObject[]): Promise<void> {
  let storing = Promise.resolve();
  let [group, bytes] = [[] as StoredObject[], 0];
  const flush = async () => {
    await storing;
    storing = store.putAll(group);
    storing.catch(() => {});
    [group, bytes] = [[], 0];
  };
  for (const object of objects) {
    decodeObject(object.hash, object.encoded);
    group.push(object);
    bytes += object.encoded.length;
    if (bytes >= putGroupBytes || group.length >= putGroupCount) await flush();
  }
  await flush();
  await storing;
}

/** As a pull is answered and received. */
async function getAll(store: ObjectStore, objects: readonly StoredObject[]): Promise<void> {
  const read = ({ hash }: StoredObject) => store.get(hash);
  const sizeOf = ({ encoded }: StoredObject) => encoded.length;
  for await (const { item, value } of readAhead(objects, read, sizeOf)) {
    decodeObject(item.hash, value);
  }
}

/** What was written before is not the next one's to wait for. */
async function settle(): Promise<void> {
  await run(["sync"], { cwd: scratch });
}

async function time(job: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await job();
  return (performance.now() - startedMs) / 1000;
}

function note(what: string, seconds: number): void {
  samples.set(what, [...(samples.get(what) ?? []), seconds]);
}

function report(): void {
  const totalMegabytes = (objectCount * objectBytes) / 1e6;
  const copySeconds = median(samples.get("copy")!);
  const cell = (what: string) => {
    const seconds = median(samples.get(what)!);
    const share = Math.round((100 * copySeconds) / seconds);
    return `${Math.round(totalMegabytes / seconds)} MB/s, ${share} %`;
  };
  console.log(`${objectCount} objects of ${values.kilobytes} kB; medians of ${values.rounds}\n`);
  console.log("| store | put | get | put, encrypted | get, encrypted |");
  console.log("| --- | --- | --- | --- | --- |");
  console.log(`| cp, then sha256sum | ${cell("copy")} | | | |`);
  console.log(`| the same and sync | ${cell("durable")} | | | |`);
  for (const { name } of cases) {
    const cells = ["", ", encrypted"].flatMap((suffix) =>
      ["put", "get"].map((job) => cell(`${job} ${name}${suffix}`)),
    );
    console.log(`| ${[name, ...cells].join(" | ")} |`);
  }
}

function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // It takes no more at once.
  for (let at = 0; at < length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes;
}

function volumesIn(directory: string): StoreLocation {
  const directories = ["a", "b"].map((name) => join(directory, name));
  for (const path of directories) mkdirSync(path, { recursive: true });
  return { kind: "volumes", directories };
}

/** An S3-compatible server on loopback with one bucket. */
async function startS3() {
  const program = s3Program();
  if (program === undefined) throw new Error("versitygw is not installed: .ci/run installs it");
  const port = await freePort();
  const [buckets, sidecar] = [join(scratch, "buckets"), join(scratch, "sidecar")];
  const bucket = join(buckets, "bench");
  for (const path of [bucket, sidecar]) mkdirSync(path, { recursive: true });
  const listening = [program, "--port", `127.0.0.1:${port}`, "--quiet"];
  const child = Bun.spawn([...listening, "posix", "--sidecar", sidecar, buckets], {
    env: { ROOT_ACCESS_KEY_ID: "bench", ROOT_SECRET_ACCESS_KEY: "secret-of-the-bench" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await reachable(port);
  const environment = {
    AWS_ACCESS_KEY_ID: "bench",
    AWS_SECRET_ACCESS_KEY: "secret-of-the-bench",
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    AWS_REGION: "us-east-1",
  };
  return {
    locate: () => parseLocation("s3://bench", environment, { allowInsecure: true }),
    empty() {
      remove(bucket);
      mkdirSync(bucket);
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
    },
  };
}
