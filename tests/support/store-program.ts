/** Puts batches to a disk store for ever; says when each begins and when it was acknowledged. */
import { writeSync } from "node:fs";
import { openDiskStore } from "#server/store/disk.ts";
import { batchOf } from "./store-batches.ts";

const [directory, seed, first] = process.argv.slice(2);
const store = await openDiskStore(directory!);
for (let batch = Number(first); ; batch++) {
  const objects = batchOf(Number(seed), batch);
  // Not through a stream: what was said must be out before the next step.
  writeSync(1, `begin ${batch}\n`);
  await store.putAll(objects);
  writeSync(1, `done ${batch}\n`);
}
