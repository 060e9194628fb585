/**
 * Kills the client or the server, by turns, at random points of a push and of a clone of a large
 * file, lets the same command run again, and says what went over the wire twice.
 *
 *   bun scripts/bench/resume.ts [--mebibytes 2048] [--kills 100] [--seed 1]
 *
 * It takes four times the size of the file on the disk of the temporary directory. Every push goes
 * to a server that holds nothing; in the end each copy is compared.
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
type Trial = { victim: "client" | "server"; at: number; again: number };

const { values } = parseArgs({
  options: {
    mebibytes: { type: "string", default: "2048" },
    kills: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
  },
});
const mebibytes = Number(values.mebibytes);
const size = mebibytes * mebibyte;
const kills = Number(values.kills);
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
  for (let trial = 0; trial < kills; trial++) {
    await newRepository(trial);
    pushes.push(await interrupt("push", trial, ["push", "-q"], work));
  }
  report("push", pushes);
  const pulls: Trial[] = [];
  for (let trial = 0; trial < kills; trial++) {
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

/** Runs a command that is killed, and again until its end. */
async function interrupt(
  job: string,
  trial: number,
  command: string[],
  cwd: string,
): Promise<Trial> {
  const victim = trial % 2 === 0 ? "client" : "server";
  const at = random() * 0.98;
  const before = cable.carried();
  const held = cable.holdAfter(at * size);
  const child = start(command, cwd);
  await Promise.race([held, child.exited]);
  if (victim === "client") child.kill("SIGKILL");
  else await stop("SIGKILL");
  cable.mend();
  const exitCode = await child.exited;
  if (victim === "server" && exitCode !== unavailable) {
    throw new Error(`${command.join(" ")} ended with ${exitCode}, its server gone`);
  }
  if (victim === "server") await serve();
  await run([binary, ...command], { cwd, environment });
  const again = (cable.carried() - before - size) / size;
  const share = `${(again * 100).toFixed(2)} %`;
  process.stderr.write(`${job} ${trial}: ${victim} at ${(at * 100).toFixed(1)} %: ${share}\n`);
  return { victim, at, again };
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
      `${job}, ${victim} killed ${shares.length} times: sent again, all overhead included: ` +
        `${(middle * 100).toFixed(2)} % in the middle, ${(most * 100).toFixed(2)} % at most`,
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
