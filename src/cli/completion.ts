/** What every shell's completion is written from: the command table, read in full. */
import type { ArgsDef } from "citty";

import { globalArgs, namedPositionals } from "./arguments.ts";
import {
  type Command,
  type CommandTable,
  commandsOf,
  optionLetters,
  optionName,
  type Program,
} from "./command.ts";
import { optionDescription } from "./help.ts";

export type CompletedOption = {
  /** As they are typed: `-m`, `--message`. */
  names: string[];
  description: string;
  takesValue: boolean;
  /** The values there are, if they are few; or directories. */
  choices: string[];
  isDirectory: boolean;
};

/** A command or a group, by the words that lead to it; the program itself has none. */
export type CompletedCommand = {
  path: string[];
  /** The same as scripts keep it while they follow a line: `/bookmark/set`, or nothing. */
  place: string;
  /** Other words for the last one. */
  aliases: string[];
  description: string;
  /** What may follow it: names of commands. */
  children: { name: string; aliases: string[]; description: string }[];
  options: CompletedOption[];
  /** Whether it takes arguments, which are taken for paths. */
  takesPaths: boolean;
};

/** Lists the program, its groups and its commands, parents first. */
export async function completedCommands(program: Program): Promise<CompletedCommand[]> {
  const table = commandsOf(program);
  const root = { path: [], place: "", aliases: [], description: program.description };
  return await readTable(root, table);
}

/** What a script does with a word: in the place before, any of these spellings leads to `place`. */
export type CompletedStep = { spellings: string[]; place: string };

/** The steps that lead from the program to all groups and commands, by their places: `/b/set`. */
export function completedSteps(commands: CompletedCommand[]): CompletedStep[] {
  return commands.flatMap(({ path, place, aliases }) => {
    const name = path.at(-1);
    if (name === undefined) return [];
    const above = placeOf(path.slice(0, -1));
    return [{ spellings: [name, ...aliases].map((word) => `${above}/${word}`), place }];
  });
}

/** Options after which comes a value, however they are spelled. */
export function valuedOptions(commands: CompletedCommand[]): string[] {
  const options = commands.flatMap((command) => command.options).concat(completedGlobals);
  return [...new Set(options.filter((it) => it.takesValue).flatMap(({ names }) => names))];
}

/** Options that stand with any command. */
export const completedGlobals: CompletedOption[] = readOptions(globalArgs);

function placeOf(path: string[]): string {
  return path.map((name) => `/${name}`).join("");
}

type Group = Pick<CompletedCommand, "path" | "place" | "aliases" | "description">;

async function readTable(group: Group, table: CommandTable): Promise<CompletedCommand[]> {
  const below: CompletedCommand[][] = [];
  for (const [name, entry] of Object.entries(table)) {
    const path = [...group.path, name];
    const names = { path, place: placeOf(path), aliases: entry.aliases ?? [] };
    if ("load" in entry) {
      const command = await entry.load();
      below.push([{ ...readCommand(command), ...names }]);
    } else {
      const { description } = entry;
      below.push(await readTable({ ...names, description }, entry.commands));
    }
  }
  const children = below.flatMap(([first]) => {
    const name = first?.path.at(-1);
    if (!first || name === undefined) return [];
    return [{ name, aliases: first.aliases, description: first.description }];
  });
  return [{ ...group, children, options: [], takesPaths: false }, ...below.flat()];
}

function readCommand(command: Command): Omit<CompletedCommand, "path" | "place" | "aliases"> {
  return {
    description: command.meta.description,
    children: [],
    options: readOptions(command.args),
    takesPaths: command.rest !== undefined || namedPositionals(command).length > 0,
  };
}

function readOptions(args: ArgsDef): CompletedOption[] {
  return Object.entries(args).flatMap(([key, definition]) => {
    if (definition.type === "positional") return [];
    const isNegated = definition.type === "boolean" && definition.default === true;
    const letters = optionLetters(definition).map((letter) => `-${letter}`);
    return [
      {
        names: [...letters, `--${isNegated ? "no-" : ""}${optionName(key)}`],
        description: optionDescription(definition),
        takesValue: definition.type !== "boolean",
        choices: definition.type === "enum" ? (definition.options ?? []) : [],
        isDirectory: "valueHint" in definition && definition.valueHint === "DIR",
      },
    ];
  });
}
