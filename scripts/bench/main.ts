/**
 * Benchmarks Pogo beside git and Subversion: the same jobs on the same tree, one system after the
 * other, round after round, so that a machine whose speed drifts treats all alike.
 *
 *   bun run bench [--quick] [--rounds 3] [--only git,pogo]
 *
 * Prints a Markdown table of medians and of ratios to the peer. Nothing fails on a time.
 */
import { cpSync, mkdtempSync } from "node:fs";
import { appendFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { startPostgres } from "../postgres.ts";
import { fixture } from "./fixtures.ts";
import { median, run, type Sample } from "./measure.ts";
import { git, pogo, remove, svn, type System } from "./systems.ts";

type Job = "publish" | "edit" | "status" | "clone" | "version";
type Results = Record<Job, Sample[]> & { serverMemoryBytes: number[] };

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "git,pogo,svn" },
    fixtures: { type: "string", default: join(tmpdir(), "pogo-fixtures") },
  },
});
const names = values.only.split(",");
const root = join(import.meta.dir, "../..");
const binary = join(root, "dist/pogo");
const editedFile = "MAINTAINERS";
const statusRuns = 5;

await run([process.execPath, "scripts/build.ts"], { cwd: root });
const tree = await fixture(values.quick ? "small" : "linux", values.fixtures);
const scratch = mkdtempSync(join(tmpdir(), "pogo-bench-"));
await using postgres = await startPostgres({ durable: true });
const results = new Map(names.map((name) => [name, emptyResults()]));
try {
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const name of names) await measureRound(name, round);
  }
  report();
} finally {
  remove(scratch);
}

function emptyResults(): Results {
  return { publish: [], edit: [], status: [], clone: [], version: [], serverMemoryBytes: [] };
}

async function open(name: string, directory: string, round: number): Promise<System> {
  if (name === "git") return await git(directory);
  if (name === "svn") return await svn(directory);
  return await pogo(directory, binary, await postgres.createDatabase(`bench_${round}`));
}

async function measureRound(name: string, round: number): Promise<void> {
  const directory = join(scratch, `${name}-${round}`);
  const work = join(directory, "work");
  const copy = join(directory, "copy");
  const samples = results.get(name) ?? emptyResults();
  const system = await open(name, directory, round);
  try {
    cpSync(tree, work, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    samples.publish.push(await settled(() => system.publish(work)));
    samples.clone.push(await settled(() => system.clone(copy)));
    // Subversion's import leaves no working copy: the later jobs run in the clone there.
    const place = name === "svn" ? copy : work;
    for (let index = 0; index < statusRuns; index++) {
      samples.status.push(await system.status(place));
    }
    appendFileSync(join(place, editedFile), `round ${round}\n`);
    samples.edit.push(await settled(() => system.edit(place)));
    if (name === "pogo") samples.version.push(await run([binary, "--version"], { cwd: scratch }));
    samples.serverMemoryBytes.push(system.serverMemoryBytes() ?? 0);
  } finally {
    await system.close();
  }
  process.stderr.write(`round ${round} ${name}: ${JSON.stringify(describe(samples))}\n`);
}

// What an earlier job left to be written is not the next one's to wait for. Nothing is deleted
// before the end either: ext4 is slow to create files where many were deleted.
async function settled(job: () => Promise<Sample>): Promise<Sample> {
  await run(["sync"], { cwd: scratch });
  return await job();
}

function describe(samples: Results): Record<string, string> {
  const jobs: Job[] = ["publish", "edit", "status", "clone", "version"];
  const texts: Record<string, string> = {};
  for (const job of jobs) {
    const last = samples[job].at(-1);
    if (last) texts[job] = `${last.seconds.toFixed(3)} s ${mebibytes(last.memoryBytes)}`;
  }
  return texts;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function report(): void {
  const rows: [Job, string][] = [
    ["publish", "first publish"],
    ["edit", "one changed file, published"],
    ["status", "`status`, clean"],
    ["clone", "`clone`"],
    ["version", "`pogo --version`"],
  ];
  const peers = names.filter((name) => name !== "pogo");
  const cell = (name: string, job: Job) => {
    const seconds = results.get(name)?.[job].map((sample) => sample.seconds) ?? [];
    return seconds.length > 0 ? median(seconds) : undefined;
  };
  const text = (value: number | undefined, unit: string, digits: number) => {
    return value === undefined ? "–" : `${value.toFixed(digits)}${unit}`;
  };
  const header = ["job", "pogo", ...peers.flatMap((peer) => [peer, `pogo ÷ ${peer}`])];
  const lines = [header, header.map(() => "---")];
  for (const [job, title] of rows) {
    const own = cell("pogo", job);
    const others = peers.flatMap((peer) => {
      const theirs = cell(peer, job);
      const ratio = own !== undefined && theirs !== undefined ? own / theirs : undefined;
      return [text(theirs, " s", 3), text(ratio, "×", 2)];
    });
    lines.push([title, text(own, " s", 3), ...others]);
  }
  const memory = (name: string) => {
    const all = results.get(name);
    const jobs: Job[] = ["publish", "edit", "status", "clone"];
    const peak = Math.max(...jobs.flatMap((job) => all?.[job].map((s) => s.memoryBytes) ?? []));
    const server = Math.max(...(all?.serverMemoryBytes ?? [0]));
    return `${mebibytes(peak)}${server > 0 ? ` / ${mebibytes(server)}` : ""}`;
  };
  lines.push(["peak memory, client / server", ...["pogo", ...peers].flatMap(memoryCells)]);
  const size = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const date = new Date().toISOString().slice(0, 10);
  const title = values.quick ? "small tree of 9,000 files" : "Linux 6.1 source";
  console.log(`${title}; medians of ${values.rounds} rounds; ${size}; ${date}\n`);
  for (const line of lines) console.log(`| ${line.join(" | ")} |`);

  function memoryCells(name: string): string[] {
    return name === "pogo" ? [memory(name)] : [memory(name), ""];
  }
}
