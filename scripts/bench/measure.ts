/** Runs commands and measures them from outside: wall time and the largest process's memory. */
import { readFileSync } from "node:fs";

export type Sample = { seconds: number; memoryBytes: number };

export type RunOptions = {
  cwd: string;
  environment?: Record<string, string>;
  /** A process whose peak memory is asked for after the command, beside the command's own. */
  server?: number | undefined;
};

/** Runs one command to its end. A command that fails stops the benchmark. */
export async function run(command: string[], options: RunOptions): Promise<Sample> {
  const started = performance.now();
  const child = Bun.spawn(command, {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [output, errors, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const seconds = (performance.now() - started) / 1000;
  if (exitCode !== 0) {
    throw new Error(`${command.join(" ")} exited with ${exitCode}\n${output}${errors}`);
  }
  return { seconds, memoryBytes: child.resourceUsage()?.maxRSS ?? 0 };
}

/** Runs a command that may fail; says whether it did not. */
export async function succeeds(command: string[], options: RunOptions): Promise<boolean> {
  const child = Bun.spawn(command, {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "ignore", "ignore"],
  });
  return (await child.exited) === 0;
}

/** Runs commands one after another as one job. */
export async function runAll(commands: string[][], options: RunOptions): Promise<Sample> {
  const total: Sample = { seconds: 0, memoryBytes: 0 };
  for (const command of commands) {
    const sample = await run(command, options);
    total.seconds += sample.seconds;
    total.memoryBytes = Math.max(total.memoryBytes, sample.memoryBytes);
  }
  return total;
}

/** Peak resident memory of a running process, where the system tells it. */
export function peakMemoryBytes(pid: number): number {
  const match = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Middle value. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] ?? NaN;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}
