/**
 * Stores ten versions of a binary of 500 MB with Pogo, restic and borg, and prints what each keeps
 * for them, and how long the first version took and a later one. Each version edits 2 % of the one
 * before: bytes replaced, put in or left out, at places and of sizes that a seed says.
 *
 *   bun scripts/bench/versions.ts [--megabytes 500] [--versions 10] [--seed 1]
 */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { connect } from "#server/db/connect.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { startPostgres } from "../postgres.ts";
import { median, run } from "./measure.ts";
import { pogo, remove } from "./systems.ts";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "500" },
    versions: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
  },
});
const fileBytes = Number(values.megabytes) * 1e6;
const versionCount = Number(values.versions);
const editedShare = 0.02;
const editBytesMin = 4 * 1024;
const editBytesMax = 1024 * 1024;
const pageBytes = 64 * 1024;

/** What keeps versions. `store` puts the file that is there now. */
type Keeper = { name: string; store(): Promise<unknown>; bytes(): number | Promise<number> };

const root = join(import.meta.dir, "../..");
const { random } = seededRandom(Number(values.seed));
await run([process.execPath, "scripts/build.ts"], { cwd: root });
const scratch = mkdtempSync(join(tmpdir(), "pogo-versions-"));
const work = join(scratch, "work");
const file = join(work, "binary");
mkdirSync(work);
await using postgres = await startPostgres({ durable: true });
const databaseUrl = await postgres.createDatabase("versions");
const system = await pogo(join(scratch, "pogo"), join(root, "dist/pogo"), databaseUrl);
try {
  const keepers = [ownKeeper(), resticKeeper(), borgKeeper()];
  const seconds = new Map(keepers.map(({ name }) => [name, [] as number[]]));
  const stored = new Map(keepers.map(({ name }) => [name, [] as number[]]));
  let addedBytes = 0;
  for (let number = 1; number <= versionCount; number++) {
    addedBytes += number === 1 ? writeFirst() : await edit();
    for (const { name, store, bytes } of keepers) {
      const startedMs = performance.now();
      await store();
      seconds.get(name)!.push((performance.now() - startedMs) / 1000);
      stored.get(name)!.push(await bytes());
    }
  }
  const copy = join(scratch, "copy");
  await system.clone(copy);
  await run(["cmp", file, join(copy, "binary")], { cwd: scratch });
  console.log(`${versionCount} versions of ${values.megabytes} MB, seed ${values.seed};`);
  console.log(`bytes that were new in one of them, uncompressed: ${megabytes(addedBytes)}\n`);
  console.log("| | first version | all versions | first, time | later, time |");
  console.log("| --- | --- | --- | --- | --- |");
  for (const { name } of keepers) {
    const [first, ...later] = seconds.get(name)!;
    const sizes = [stored.get(name)![0]!, stored.get(name)!.at(-1)!].map(megabytes);
    const times = [first!, median(later)].map((time) => `${time.toFixed(1)} s`);
    console.log(`| ${[name, ...sizes, ...times].join(" | ")} |`);
  }
} finally {
  await system.close();
  remove(scratch);
}

function ownKeeper(): Keeper {
  let isFirst = true;
  const databaseBytes = async () => {
    const sql = connect(databaseUrl);
    const [row] = await sql<{ bytes: number }[]>`
      select pg_database_size(current_database())::bigint as bytes`;
    await sql.end();
    return Number(row?.bytes);
  };
  const emptyBytes = databaseBytes();
  return {
    name: "pogo",
    async store() {
      if (!isFirst) return await system.run(work, ["commit", "-q", "-m", "next"]);
      isFirst = false;
      await emptyBytes;
      await system.publish(work);
      return await system.run(work, ["new", "-q"]);
    },
    async bytes() {
      const objects = directoryBytes(join(scratch, "pogo/data/objects"));
      return objects + (await databaseBytes()) - (await emptyBytes);
    },
  };
}

function resticKeeper(): Keeper {
  const repository = join(scratch, "restic");
  const environment = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: "bench" };
  const restic = (...words: string[]) => {
    return run(["restic", "--no-cache", "-q", ...words], { cwd: work, environment });
  };
  return {
    name: "restic",
    async store() {
      if (!isThere(repository)) await restic("init");
      await restic("backup", "binary");
    },
    bytes: () => directoryBytes(repository),
  };
}

/** It compresses with LZ4 unless told otherwise; the others with zstd. */
function borgKeeper(): Keeper {
  const repository = join(scratch, "borg");
  const environment = {
    BORG_REPO: repository,
    BORG_BASE_DIR: join(scratch, "borg-home"),
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
  };
  const borg = (...words: string[]) => run(["borg", ...words], { cwd: work, environment });
  return {
    name: "borg",
    async store() {
      if (!isThere(repository)) await borg("init", "-e", "none");
      await borg("create", "-C", "zstd,3", `::v${performance.now()}`, "binary");
    },
    bytes: () => directoryBytes(repository),
  };
}

/** Writes the first version; says how many bytes it has. */
function writeFirst(): number {
  const descriptor = openSync(file, "w");
  for (let at = 0; at < fileBytes; at += pageBytes) {
    writeSync(descriptor, page(Math.min(pageBytes, fileBytes - at)));
  }
  closeSync(descriptor);
  return fileBytes;
}

/** Writes the next version over the one before; says how many bytes of it are new. */
async function edit(): Promise<number> {
  const before = new Uint8Array(await Bun.file(file).arrayBuffer());
  const edits: { at: number; length: number; kind: number }[] = [];
  for (let left = editedShare * before.length; left > 0;) {
    const drawn = editBytesMin * (editBytesMax / editBytesMin) ** random();
    const length = Math.ceil(Math.min(drawn, left));
    edits.push({ at: Math.floor(random() * before.length), length, kind: random() });
    left -= length;
  }
  edits.sort((a, b) => a.at - b.at);
  const descriptor = openSync(file, "w");
  let [copied, added] = [0, 0];
  for (const { at, length, kind } of edits) {
    if (at > copied) write(descriptor, before.subarray(copied, at));
    copied = Math.max(copied, at);
    // Half of the edits replace, a quarter puts in, and a quarter leaves out.
    if (kind < 0.75) {
      for (let done = 0; done < length; done += pageBytes) {
        write(descriptor, page(Math.min(pageBytes, length - done)));
      }
      added += length;
    }
    if (kind < 0.5 || kind >= 0.75) copied = Math.min(copied + length, before.length);
  }
  write(descriptor, before.subarray(copied));
  closeSync(descriptor);
  return added;
}

function write(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
}

/** Half of the pages are noise; the others compress to a half, or to much less. */
function page(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  const kind = random();
  const mask = kind < 0.5 ? 0xffff_ffff : kind < 0.75 ? 0x0f0f_0f0f : 0x0000_0303;
  for (let index = 0; index < words.length; index++) words[index] = (random() * 2 ** 32) & mask;
  return new Uint8Array(words.buffer, 0, length);
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function directoryBytes(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.reduce(
    (sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size,
    0,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
