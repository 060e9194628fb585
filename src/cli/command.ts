/**
 * How a command is written. One file a command, `commands/<verb>.ts`; a group's are in a folder,
 * `commands/bookmark/set.ts`. The file exports the command under its own name:
 *
 *   export const cat = command({
 *     meta: { description: "print a file as it is in a change" },
 *     args: {
 *       revision: { type: "positional", required: true, valueHint: "REV", description: "…" },
 *       limit: { type: "string", alias: "n", valueHint: "N", description: "…" },
 *     },
 *     rest: { valueHint: "PATH", description: "only these files" },
 *     async run({ args, rest, context }) {
 *       context.print({ path, size }, ({ bold }) => `${bold(quoteName(path))} ${size}`);
 *     },
 *   });
 *
 * and `main.ts` lists it, with its aliases, as a lazy import. The wrapper has then
 *
 * - refused unknown, doubled and valueless options and too many or too few arguments. An option
 *   is spelled as its key in kebab case (`tokenStdin` is `--token-stdin`). A positional is
 *   `required: true` or `required: false`, spelled out; `rest` takes what is left over, or all
 *   values but the first of the one option that is `repeated`;
 * - taken the global options, which stand anywhere on the line. Do not define -C -q -v -h;
 * - made the context: everything that a command may know of the process that it runs in.
 *
 * A command prints one result, `context.print` (what was asked for) or `context.report` (what was
 * done: silent under -q), as a value for programs and a text for people, or streams file contents
 * with `context.write`. What is not the result goes to stderr: `context.note`, `context.progress`.
 * It throws PogoError for what it refuses, and never exits, reads `process` or writes to it.
 */
import { type ArgDef, type ArgsDef, type ParsedArgs, runCommand } from "citty";

import type { Context } from "./context.ts";

/** The positionals that are left over when the named ones are taken. */
export type Rest = { valueHint: string; description: string; required?: boolean };

/** What help and completion say of a command. */
export type CommandMeta = {
  description: string;
  examples?: string[];
  /** What is typed after it may be a secret: no error repeats an argument. */
  isPrivate?: boolean;
};

/** A command, its arguments' types forgotten. */
export type Command = {
  meta: CommandMeta;
  args: ArgsDef;
  rest: Rest | undefined;
  /** The option that may be given several times. */
  repeated: string | undefined;
  /** Runs on arguments that `arguments.ts` has checked and spelled the one way. */
  run(raw: string[], rest: string[], context: Context): Promise<void>;
};

type Definition<T extends ArgsDef> = {
  meta: CommandMeta;
  args?: T;
  rest?: Rest;
  repeated?: keyof T & string;
  run(given: { args: ParsedArgs<T>; rest: string[]; context: Context }): Promise<void> | void;
};

/** Defines a command; the types of `args` in `run` follow from its definition. */
export function command<const T extends ArgsDef>(definition: Definition<T>): Command {
  const args: ArgsDef = definition.args ?? {};
  return {
    meta: definition.meta,
    args,
    rest: definition.rest,
    repeated: definition.repeated,
    async run(raw, rest, context) {
      await runCommand<T>(
        {
          ...(definition.args && { args: definition.args }),
          run: (parsed) => definition.run({ args: parsed.args, rest, context }),
        },
        { rawArgs: raw },
      );
    },
  };
}

/** A command that is imported when it is run, or asked for help. */
export type LazyCommand = { aliases?: string[]; load: () => Promise<Command> };

/** A command that only has commands under it. */
export type CommandGroup = { aliases?: string[]; description: string; commands: CommandTable };

export type CommandTable = Record<string, LazyCommand | CommandGroup>;

/** The whole program: its commands under the headings that help shows. */
export type Program = { name: string; description: string; sections: Record<string, CommandTable> };

/** All commands of a program, in the order of its help. */
export function commandsOf(program: Program): CommandTable {
  return Object.assign({}, ...Object.values(program.sections));
}

/** Option name as it is typed: `tokenStdin` is `token-stdin`. */
export function optionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Letters that stand for an option. */
export function optionLetters(definition: ArgDef): string[] {
  const alias = "alias" in definition ? definition.alias : undefined;
  return typeof alias === "string" ? [alias] : (alias ?? []);
}

/** How a positional or an option's value is called in help. */
export function valueName(key: string, definition: ArgDef): string {
  if (definition.type === "enum" && definition.options) return definition.options.join("|");
  return definition.valueHint ?? optionName(key).replaceAll("-", "_").toUpperCase();
}
