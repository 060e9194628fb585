/** The shell around every command: finds it, runs it, and turns whatever it throws into a line. */
import { isatty } from "node:tty";

import { exitCodes, isPogoError, PogoError } from "#core/errors.ts";
import { version } from "#core/version.ts";
import { type Globals, readArguments, readGlobals, usageError } from "./arguments.ts";
import {
  type CommandGroup,
  type CommandTable,
  commandsOf,
  type LazyCommand,
  type Program,
} from "./command.ts";
import {
  type Context,
  handleInterruption,
  type Interruption,
  openContext,
  wantsColor,
} from "./context.ts";
import { nearest } from "./nearest.ts";
import { BrokenPipe, printError, writeStderr } from "./output.ts";
import { systemError } from "./system-error.ts";

/** Runs a command line and ends the process with the exit code of what came of it. */
export async function runProgram(program: Program): Promise<never> {
  const globals: Globals = {
    directories: [],
    json: false,
    quiet: false,
    verbose: false,
    color: "auto",
    progress: true,
    version: false,
    help: false,
  };
  const interruption = handleInterruption();
  const line = process.argv.slice(2);
  try {
    await run(program, line, globals, interruption);
    process.exit(0);
  } catch (error) {
    if (error instanceof BrokenPipe) process.exit(0);
    const interrupted = interruption.exitCode();
    // A mistake in the line may stand before --json: its reader is a program all the same.
    const options = { ...globals, json: globals.json || hasJson(line) };
    if (interrupted !== undefined) {
      reportInterruption(options);
      process.exit(interrupted);
    }
    process.exit(reportFailure(error, options));
  }
}

async function run(
  program: Program,
  line: string[],
  globals: Globals,
  interruption: Interruption,
): Promise<void> {
  const words = readGlobals(line, globals);
  if (globals.version) return printVersion(openContext(globals, interruption));
  if (words[0] === "help") {
    globals.help = true;
    words.shift();
  }
  const found = findCommand(program, words, globals);
  if (!("load" in found.entry)) {
    const context = openContext(globals, interruption);
    return await explainGroup(program, found.path, found.entry, context, globals.help);
  }
  const command = await found.entry.load();
  const { raw, rest, check } = readArguments(command, found.path, found.words, globals);
  const context = openContext(globals, interruption);
  if (globals.version) return printVersion(context);
  if (globals.help) {
    const { commandHelp } = await import("./help.ts");
    const text = commandHelp(found.path, command, found.entry.aliases ?? [], context.style);
    return context.print({ help: text }, text);
  }
  check();
  await command.run(raw, rest, context);
}

type Found = { path: string; entry: LazyCommand | CommandGroup; words: string[] };

/** Follows the words of a line through the table, as far as they name groups. */
function findCommand(program: Program, line: string[], globals: Globals): Found {
  let entry: LazyCommand | CommandGroup = {
    description: program.description,
    commands: commandsOf(program),
  };
  let path = program.name;
  let words = line;
  while (!("load" in entry)) {
    words = readGlobals(words, globals);
    const [name, ...after] = words;
    if (name === undefined || globals.version) break;
    const found = findEntry(entry.commands, name);
    if (!found) throw unknownCommand(path, name, entry.commands);
    [path, entry, words] = [`${path} ${found[0]}`, found[1], after];
  }
  return { path, entry, words };
}

function findEntry(table: CommandTable, name: string) {
  return Object.entries(table).find(
    ([key, { aliases }]) => key === name || aliases?.includes(name),
  );
}

function unknownCommand(path: string, name: string, table: CommandTable): PogoError {
  const names = Object.entries(table).flatMap(([key, { aliases }]) => [key, ...(aliases ?? [])]);
  const similar = nearest(name, names);
  const typed = [...path.split(" ").slice(1), name].join(" ");
  return new PogoError("usage", `unknown command "${typed}"`, {
    hint: similar ? `did you mean ${path} ${similar}?` : `${path} --help`,
  });
}

async function explainGroup(
  program: Program,
  path: string,
  group: CommandGroup,
  context: Context,
  asked: boolean,
): Promise<void> {
  const { groupHelp, programHelp } = await import("./help.ts");
  const whole = path === program.name;
  const text = whole
    ? await programHelp(program, context.style)
    : await groupHelp(path, group, context.style);
  if (asked) return context.print({ help: text }, text);
  if (!context.json && !context.quiet) context.note(`${text}\n`);
  throw usageError(path, whole ? "no command is given" : `${path} needs a command after it`);
}

function printVersion(context: Context): void {
  context.print({ version }, `pogo ${version}`);
}

function hasJson(line: string[]): boolean {
  const end = line.indexOf("--");
  return line.slice(0, end < 0 ? undefined : end).includes("--json");
}

/** Says that the command did not end by itself. */
function reportInterruption({ json }: Globals): void {
  if (json) printError({ code: "interrupted", message: "interrupted" }, { json, color: false });
  else writeStderr("pogo: interrupted\n");
}

/** Prints a failure and returns the exit code that stands for it. */
function reportFailure(error: unknown, globals: Globals): number {
  const options = { json: globals.json, color: wantsColor(globals, process.env, isatty(2)) };
  const known = isPogoError(error) ? error : systemError(error);
  const trace = globals.verbose && !globals.json;
  if (known) {
    printError(known, options);
    if (trace && known.cause) writeStderr(`${Bun.inspect(known.cause)}\n`);
    return exitCodes[known.code];
  }
  const message = error instanceof Error ? error.message : String(error);
  const hint = globals.verbose ? undefined : "run the command again with -v to see where";
  printError({ code: "internal", message: `internal error: ${message}`, hint }, options);
  if (trace) writeStderr(`${error instanceof Error ? error.stack : Bun.inspect(error)}\n`);
  return exitCodes.internal;
}
