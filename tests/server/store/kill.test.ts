import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toHex } from "#core/hash.ts";
import { decodeObject } from "#core/object.ts";
import { openDiskStore } from "#server/store/disk.ts";
import { seededRandom } from "../../support/random.ts";
import { batchOf } from "../../support/store-batches.ts";

const program = join(import.meta.dir, "../../support/store-program.ts");
const kills = Number(Bun.env["POGO_TEST_KILLS"] ?? 8);

test(
  "a store killed while it writes holds all that it acknowledged, and nothing that is half",
  async () => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    const directory = mkdtempSync(join(tmpdir(), "pogo-kill-"));
    try {
      const acknowledged: number[] = [];
      for (let kill = 0, first = 0; kill < kills; kill++) {
        const begun = await runAndKill(directory, seed, first, random, acknowledged);
        first = begun + 1;
        await verify(directory, seed, acknowledged);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
  10_000 + kills * 2000,
);

/** Kills the program within the first batches, and returns the last one that had begun. */
async function runAndKill(
  directory: string,
  seed: number,
  first: number,
  random: () => number,
  acknowledged: number[],
): Promise<number> {
  const child = Bun.spawn([process.execPath, program, directory, String(seed), String(first)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const lastBatch = first + Math.floor(random() * 4);
  const delayMs = random() ** 2 * 15;
  let begun = first;
  let output = "";
  for await (const bytes of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += bytes;
    if (child.killed || !output.includes(`begin ${lastBatch}\n`)) continue;
    // Not a sleep: the moment within the write at which it dies.
    for (const end = performance.now() + delayMs; performance.now() < end;);
    child.kill("SIGKILL");
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  for (const [, word, number] of output.matchAll(/(begin|done) (\d+)\n/g)) {
    if (word === "begin") begun = Number(number);
    else acknowledged.push(Number(number));
  }
  return begun;
}

async function verify(
  directory: string,
  seed: number,
  acknowledged: readonly number[],
): Promise<void> {
  await using store = await openDiskStore(directory);
  const listed = new Set<string>();
  for await (const hash of store.list()) {
    decodeObject(hash, await store.get(hash));
    listed.add(toHex(hash));
  }
  const lost = acknowledged
    .flatMap((batch) => batchOf(seed, batch))
    .filter(({ hash }) => !listed.has(toHex(hash)));
  expect(lost).toEqual([]);
}
