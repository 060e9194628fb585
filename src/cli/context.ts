/** What a command may know of the process that it runs in: the only place that reads `process`. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { isatty } from "node:tty";

import { PogoError } from "#core/errors.ts";
import type { Globals } from "./arguments.ts";
import { openOutput, type Output } from "./output.ts";
import { noProgress, type Progress, terminalProgress } from "./progress.ts";

/** Environment variables, read once. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type Context = Output & {
  /** Where the command acts: the process's directory, or what -C says. */
  cwd: string;
  environment: Environment;
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  /** Whether stdout is a terminal. */
  terminal: boolean;
  /** Whether a person can be asked something: stdin and stderr are a terminal. */
  interactive: boolean;
  progress: Progress;
  /**
   * Aborted by SIGINT and SIGTERM. A command that looks at it must end soon after; one that does
   * not is ended at once. A second signal ends either.
   */
  readonly signal: AbortSignal;
};

/** Signals as the shell of commands handles them. */
export type Interruption = { signal: () => AbortSignal; exitCode: () => number | undefined };

/** Makes the context of a command from its command line and the process. */
export function openContext(globals: Globals, interruption: Interruption): Context {
  const environment: Environment = process.env;
  const terminals = { stdin: isatty(0), stdout: isatty(1), stderr: isatty(2) };
  const { json, quiet, verbose } = globals;
  const output = openOutput({
    json,
    quiet,
    color: {
      stdout: wantsColor(globals, environment, terminals.stdout),
      stderr: wantsColor(globals, environment, terminals.stderr),
    },
    terminal: terminals.stdout,
  });
  const shown = globals.progress && !quiet && !json && terminals.stderr;
  return {
    ...output,
    cwd: workingDirectory(globals.directories),
    environment,
    json,
    quiet,
    verbose,
    terminal: terminals.stdout,
    interactive: terminals.stdin && terminals.stderr,
    progress: shown
      ? terminalProgress({ columns: () => process.stderr.columns || 80 })
      : noProgress,
    get signal() {
      return interruption.signal();
    },
  };
}

/** Decides on color for one stream: by the command line, else by NO_COLOR and the terminal. */
export function wantsColor(
  { color }: Pick<Globals, "color">,
  environment: Environment,
  terminal: boolean,
): boolean {
  if (color !== "auto") return color === "always";
  return terminal && !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
}

/**
 * Takes over SIGINT and SIGTERM. Only a command that asks for the signal is given the time to
 * clean up: the others lose nothing, as whatever they do is safe against a power cut.
 */
export function handleInterruption(): Interruption {
  const controller = new AbortController();
  let observed = false;
  let exitCode: number | undefined;
  const interrupt = (code: number) => {
    if (!observed || exitCode !== undefined) process.exit(code);
    exitCode = code;
    controller.abort(new PogoError("unavailable", "interrupted"));
  };
  process.on("SIGINT", () => interrupt(130));
  process.on("SIGTERM", () => interrupt(143));
  return {
    signal() {
      observed = true;
      return controller.signal;
    },
    exitCode: () => exitCode,
  };
}

function workingDirectory(directories: string[]): string {
  const cwd = resolve(...[process.cwd(), ...directories]);
  if (directories.length === 0) return cwd;
  if (statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) return cwd;
  throw new PogoError("not-found", `directory ${JSON.stringify(cwd)} does not exist`);
}
