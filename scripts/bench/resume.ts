/**
 * Kills pushes and clones of a large file at random points, lets the same command run again until
 * it is killed at the next point, and at last to its end, and says what went over the wire twice.
 * Of one push or clone it is always the client that is killed, of the next one the server.
 *
 *   bun scripts/bench/resume.ts [--mebibytes 2048] [--kills 100] [--each 10] [--seed 1]
 *
 * `--each` is how often one push or clone is killed. It takes four times the size of the file on
 * the disk of the temporary directory. Every push goes to a server that holds nothing; in the end
 * each copy is compared.
 */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { openCable } from "../cable.ts";
import { startPostgres } from "../postgres.ts";
import { mebibyte, writeLargeFile } from "./large-file.ts";
import { median, run } from "./measure.ts";
import { listeningUrl, remove } from "./systems.ts";

type Server = { port: number; process: Bun.Subprocess };
type Trial = { victim: "client" | "server"; again: number };

const { values } = parseArgs({
  options: {
    mebibytes: { type: "string", default: "2048" },
    kills: { type: "string", default: "100" },
    each: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
  },
});
const mebibytes = Number(values.mebibytes);
const size = mebibytes * mebibyte;
const killsEach = Number(values.each);
const trials = Math.ceil(Number(values.kills) / killsEach);
const random = seeded(Number(values.seed));
const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/pogo");
const scratch = mkdtempSync(join(tmpdir(), "pogo-resume-"));
const token = "pogo_bench_token_0123456789abcdef";
const environment = {
  POGO_TOKEN: token,
  XDG_CONFIG_HOME: join(scratch, "config"),
  XDG_CACHE_HOME: join(scratch, "cache"),
};
const work = join(scratch, "work");
const unavailable = 7;

await run([process.execPath, "scripts/build.ts"], { cwd: root });
await using postgres = await startPostgres({ durable: true });
using cable = await openCable(0);
let server: Server | undefined;
let databaseUrl = "";
try {
  const path = writeLargeFile(work, mebibytes);
  console.log(`one file of ${mebibytes} MiB; seed ${values.seed}`);
  const pushes: Trial[] = [];
  for (let trial = 0; trial < trials; trial++) {
    await newRepository(trial);
    pushes.push(await interrupt("push", trial, ["push", "-q"], work));
  }
  report("push", pushes);
  const pulls: Trial[] = [];
  for (let trial = 0; trial < trials; trial++) {
    const copy = join(scratch, "copy");
    const clone = ["clone", "-q", `${cable.url}/large`, copy];
    pulls.push(await interrupt("clone", trial, clone, scratch));
    await run(["cmp", path, join(copy, "large")], { cwd: scratch });
    remove(copy);
  }
  report("clone", pulls);
} finally {
  await stop();
  remove(scratch);
}

/** Runs a command that is killed, again and again, and at last to its end. */
async function interrupt(
  job: string,
  trial: number,
  command: string[],
  cwd: string,
): Promise<Trial> {
  const victim = trial % 2 === 0 ? "client" : "server";
  const points = Array.from({ length: killsEach }, () => random() * 0.98).sort((a, b) => a - b);
  const before = cable.carried();
  for (const at of points) {
    const held = cable.holdAfter(Math.max(0, before + at * size - cable.carried()));
    await killAt(held, victim, command, cwd);
  }
  await run([binary, ...command], { cwd, environment });
  const again = (cable.carried() - before - size) / size;
  const share = `${(again * 100).toFixed(2)} %`;
  const places = points.map((at) => (at * 100).toFixed(1)).join(", ");
  process.stderr.write(`${job} ${trial}: ${victim} at ${places} %: ${share}\n`);
  return { victim, again };
}

async function killAt(
  held: Promise<void>,
  victim: Trial["victim"],
  command: string[],
  cwd: string,
): Promise<void> {
  const child = start(command, cwd);
  await Promise.race([held, child.exited]);
  if (victim === "client") child.kill("SIGKILL");
  else await stop("SIGKILL");
  cable.mend();
  const exitCode = await child.exited;
  if (victim === "client") return;
  if (exitCode !== unavailable) {
    throw new Error(`${command.join(" ")} ended with ${exitCode}, its server gone`);
  }
  await serve();
}

function start(command: string[], cwd: string): Bun.Subprocess {
  return Bun.spawn([binary, ...command], {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "ignore"],
  });
}

async function newRepository(trial: number): Promise<void> {
  await stop();
  remove(join(scratch, "data"));
  remove(join(work, ".pogo"));
  databaseUrl = await postgres.createDatabase(`resume_${trial}`);
  await serve();
  await run([binary, "init", "--server", cable.url, "--name", "large"], { cwd: work, environment });
}

async function serve(): Promise<void> {
  const data = join(scratch, "data");
  mkdirSync(data, { recursive: true });
  const child = Bun.spawn([binary, "serve", "--data", data, "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, DATABASE_URL: databaseUrl, POGO_ROOT_TOKEN: token },
  });
  const port = Number(new URL(await listeningUrl(child.stdout)).port);
  server = { port, process: child };
  cable.plug(port);
}

async function stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
  server?.process.kill(signal);
  await server?.process.exited;
  server = undefined;
}

function report(job: string, trials: readonly Trial[]): void {
  for (const victim of ["client", "server"] as const) {
    const shares = trials.filter((trial) => trial.victim === victim).map(({ again }) => again);
    if (shares.length === 0) continue;
    const [most, middle] = [Math.max(...shares), median(shares)];
    console.log(
      `${shares.length} × ${job}, ${victim} killed ${killsEach} times in each: sent again in one, ` +
        `all overhead included: ${(middle * 100).toFixed(2)} % in the middle, ` +
        `${(most * 100).toFixed(2)} % at most`,
    );
  }
}

function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
