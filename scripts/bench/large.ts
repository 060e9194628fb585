/**
 * Publishes and clones one file of 5 GiB and prints the time and the peak memory of both sides.
 *
 *   bun scripts/bench/large.ts [GIBIBYTES]
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startPostgres } from "../postgres.ts";
import { run } from "./measure.ts";
import { pogo, remove } from "./systems.ts";

const gibibytes = Number(process.argv[2] ?? 5);
const root = join(import.meta.dir, "../..");
const scratch = mkdtempSync(join(tmpdir(), "pogo-large-"));
const mebibyte = 2 ** 20;

await run([process.execPath, "scripts/build.ts"], { cwd: root });
await using postgres = await startPostgres({ durable: true });
try {
  const database = await postgres.createDatabase("large");
  const system = await pogo(join(scratch, "pogo"), join(root, "dist/pogo"), database);
  try {
    const work = join(scratch, "work");
    writeLargeFile(work);
    const published = await system.publish(work);
    const cloned = await system.clone(join(scratch, "copy"));
    await run(["cmp", join(work, "large"), join(scratch, "copy/large")], { cwd: scratch });
    console.log(`one file of ${gibibytes} GiB that does not compress`);
    for (const [job, sample] of Object.entries({ push: published, clone: cloned })) {
      const rate = (gibibytes * 1024) / sample.seconds;
      const memory = Math.round(sample.memoryBytes / mebibyte);
      console.log(
        `${job}: ${sample.seconds.toFixed(1)} s, ${rate.toFixed(0)} MiB/s, ${memory} MiB`,
      );
    }
    console.log(`server: ${Math.round((system.serverMemoryBytes() ?? 0) / mebibyte)} MiB`);
  } finally {
    await system.close();
  }
} finally {
  remove(scratch);
}

function writeLargeFile(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const descriptor = openSync(join(directory, "large"), "w");
  const block = new Uint8Array(mebibyte);
  for (let index = 0; index < gibibytes * 1024; index++) {
    for (let at = 0; at < mebibyte; at += 65_536) {
      crypto.getRandomValues(block.subarray(at, at + 65_536));
    }
    writeSync(descriptor, block);
  }
  closeSync(descriptor);
}
