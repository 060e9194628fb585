/**
 * Lands changes in one branch from many clients at once: `pogo sync` beside git's race of pull and
 * push. Every client edits a file of its own, so nothing ever conflicts.
 *
 *   bun scripts/bench/lands.ts [--clients 20] [--lands 5] [--rounds 3]
 *
 * Prints lands per second, and how often git had to be told to try again.
 */
import { appendFileSync, mkdirSync, mkdtempSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { startPostgres } from "../postgres.ts";
import { median, run } from "./measure.ts";
import { git, pogo, remove, type System } from "./systems.ts";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "20" },
    lands: { type: "string", default: "5" },
    rounds: { type: "string", default: "3" },
  },
});
const clientCount = Number(values.clients);
const landCount = Number(values.lands);
const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/pogo");
// More tries than this are a race that nobody wins.
const triesMax = 1000;

type Race = { landsPerSecond: number; retries: number };

await run([process.execPath, "scripts/build.ts"], { cwd: root });
const scratch = mkdtempSync(join(tmpdir(), "pogo-bench-"));
await using postgres = await startPostgres({ durable: true });
const races: Record<"git" | "pogo", Race[]> = { git: [], pogo: [] };
try {
  for (let round = 1; round <= Number(values.rounds); round++) {
    const database = await postgres.createDatabase(`lands_${round}`);
    races.git.push(await race(await git(join(scratch, `git-${round}`)), `git-${round}`));
    const system = await pogo(join(scratch, `pogo-${round}`), binary, database);
    races.pogo.push(await race(system, `pogo-${round}`));
  }
} finally {
  remove(scratch);
}
for (const [name, all] of Object.entries(races)) {
  const speed = median(all.map(({ landsPerSecond }) => landsPerSecond)).toFixed(1);
  const retried = median(all.map(({ retries }) => retries));
  console.log(`${name}: ${speed} lands a second, ${retried} retries`);
}
console.log(
  `${clientCount} clients, ${landCount} lands each, ${values.rounds} rounds, ${cpus().length} cores`,
);

async function race(system: System, name: string): Promise<Race> {
  const directory = join(scratch, `${name}-clients`);
  const seed = join(directory, "seed");
  mkdirSync(seed, { recursive: true });
  for (let index = 0; index < clientCount; index++) {
    appendFileSync(join(seed, `file-${index}`), "start\n");
  }
  try {
    await system.publish(seed);
    await system.land(seed);
    for (let index = 0; index < clientCount; index++) {
      await system.clone(join(directory, String(index)));
    }
    const started = performance.now();
    const retries = await Promise.all(
      Array.from({ length: clientCount }, (_, index) => landAll(system, directory, index)),
    );
    const seconds = (performance.now() - started) / 1000;
    return {
      landsPerSecond: (clientCount * landCount) / seconds,
      retries: retries.reduce((sum, count) => sum + count, 0),
    };
  } finally {
    await system.close();
  }
}

async function landAll(system: System, directory: string, index: number): Promise<number> {
  const work = join(directory, String(index));
  let retries = 0;
  for (let land = 1; land <= landCount; land++) {
    appendFileSync(join(work, `file-${index}`), `land ${land}\n`);
    for (let tries = 1; !(await system.land(work)); tries++) {
      if (tries === triesMax) throw new Error(`${work} never got its turn`);
      retries++;
    }
  }
  return retries;
}
