/** Runs the real program as a user with an empty home. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

import { temporaryDirectory } from "./postgres.ts";

export type Outcome = { stdout: string; stderr: string; exitCode: number };

export type RunOptions = {
  cwd?: string;
  /** What the program reads from stdin: nothing unless said. */
  stdin?: string;
  environment?: Record<string, string>;
  /** A command that runs the program. */
  through?: string[];
};

export type Pogo = Disposable & {
  home: string;
  /** Variables that a command gets. */
  environment: Record<string, string>;
  /** Runs a command, whatever comes of it. */
  run(args: string[], options?: RunOptions): Promise<Outcome>;
  /** Runs a command that must succeed, and returns what it printed. */
  ok(args: string[], options?: RunOptions): Promise<string>;
  /** Runs a command with --json that must succeed, and returns its result. */
  json(args: string[], options?: RunOptions): Promise<unknown>;
  /** Starts a command, to be killed or waited for. */
  start(args: string[], options?: RunOptions): Bun.Subprocess<Blob | "ignore", "pipe", "pipe">;
};

const root = join(import.meta.dir, "../..");

/** The program: from its source, or the executable that POGO_TEST_PROGRAM names. */
export const program: string[] = process.env["POGO_TEST_PROGRAM"]
  ? [resolve(process.env["POGO_TEST_PROGRAM"])]
  : [process.execPath, join(root, "src/main.ts")];

/** Makes a user: nothing of who runs the tests shows, and there is no keyring. */
export function openPogo(environment: Record<string, string> = {}): Pogo {
  const directory = temporaryDirectory();
  const home = join(directory.path, "home");
  mkdirSync(home);

  function start(args: string[], options: RunOptions = {}) {
    return Bun.spawn([...(options.through ?? []), ...program, ...args], {
      cwd: options.cwd ?? home,
      stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
      stdout: "pipe",
      stderr: "pipe",
      env: { ...userEnvironment(home), ...environment, ...options.environment },
    });
  }

  async function run(args: string[], options?: RunOptions): Promise<Outcome> {
    await using child = start(args, options);
    const [stdout, stderr, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { stdout, stderr, exitCode };
  }

  async function ok(args: string[], options?: RunOptions): Promise<string> {
    const { stdout, stderr, exitCode } = await run(args, options);
    if (exitCode === 0) return stdout;
    throw new Error(`pogo ${args.join(" ")} ended with ${exitCode}:\n${stderr}`);
  }

  return {
    home,
    environment: { ...userEnvironment(home), ...environment },
    run,
    ok,
    json: async (args, options) => JSON.parse(await ok([...args, "--json"], options)),
    start,
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

/** Environment of a user who has nothing but a home. */
export function userEnvironment(home: string): Record<string, string> {
  const { PATH = "", BUN_JSC_useOMGJIT } = process.env;
  return {
    PATH,
    HOME: home,
    TZ: "UTC",
    LANG: "C.UTF-8",
    // How `npm test` has WebAssembly compiled.
    ...(BUN_JSC_useOMGJIT && { BUN_JSC_useOMGJIT }),
    // Bun's own, for what runs from source: kept out of the home, and shared.
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: join(root, "node_modules/.cache/transpiled"),
  };
}
