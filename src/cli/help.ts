import type { ArgDef, ArgsDef } from "citty";

import { globalArgs, namedPositionals } from "./arguments.ts";
import {
  type Command,
  type CommandGroup,
  type CommandTable,
  optionLetters,
  optionName,
  type Program,
  valueName,
} from "./command.ts";
import type { Style } from "./output.ts";

type Row = [left: string, right: string];

/** Help on the whole program. Imports every command, to have it described by itself. */
export async function programHelp(program: Program, style: Style): Promise<string> {
  const sections = await Promise.all(
    Object.entries(program.sections).map(async ([heading, table]) => ({
      heading,
      rows: await tableRows(table),
    })),
  );
  const blocks = [
    program.description,
    `${style.bold("usage:")} ${program.name} [OPTION…] COMMAND [ARGUMENT…]`,
  ];
  for (const { heading, rows } of sections) blocks.push(block(heading, rows, style));
  blocks.push(block("options, of every command", optionRows(globalArgs), style));
  blocks.push(`${program.name} COMMAND --help explains a command.`);
  return `${blocks.join("\n\n")}\n`;
}

/** Help on a group of commands. */
export async function groupHelp(path: string, group: CommandGroup, style: Style): Promise<string> {
  const rows = await tableRows(group.commands);
  return `${[
    sentence(group.description),
    `${style.bold("usage:")} ${path} COMMAND [ARGUMENT…]`,
    block("commands", rows, style),
    `${path} COMMAND --help explains a command.`,
  ].join("\n\n")}\n`;
}

/** Help on one command. */
export function commandHelp(
  path: string,
  command: Command,
  aliases: string[],
  style: Style,
): string {
  const { meta, args, rest } = command;
  const positionals: Row[] = namedPositionals(command).map(([key, definition]) => [
    valueName(key, definition),
    definition.description ?? "",
  ]);
  if (rest) positionals.push([`${rest.valueHint}…`, rest.description]);
  const options = optionRows(args);
  const blocks = [sentence(meta.description), `${style.bold("usage:")} ${usage(path, command)}`];
  if (aliases.length > 0) blocks.push(`${style.bold("also:")} ${aliases.join(", ")}`);
  if (positionals.length > 0) blocks.push(block("arguments", positionals, style));
  if (options.length > 0) blocks.push(block("options", options, style));
  blocks.push(block("options, of every command", optionRows(globalArgs), style));
  if (meta.examples) blocks.push([style.bold("examples:"), ...meta.examples].join("\n  "));
  return `${blocks.join("\n\n")}\n`;
}

/** One line that shows what a command takes: `pogo cat [OPTION…] REV PATH`. */
export function usage(path: string, command: Command): string {
  const words = [path];
  const entries = Object.entries(command.args);
  const required = entries.filter(([, it]) => it.type !== "positional" && it.required);
  if (required.length < entries.length - namedPositionals(command).length) words.push("[OPTION…]");
  for (const [key, definition] of required) {
    words.push(`--${optionName(key)} ${valueName(key, definition)}`);
  }
  for (const [key, definition] of namedPositionals(command)) {
    const name = valueName(key, definition);
    words.push(definition.required === false ? `[${name}]` : name);
  }
  if (command.rest) {
    const name = `${command.rest.valueHint}…`;
    words.push(command.rest.required ? name : `[${name}]`);
  }
  return words.join(" ");
}

/** How an option is typed: `-n, --limit N`. */
function optionSpelling(key: string, definition: ArgDef): string {
  const negation = definition.type === "boolean" && definition.default === true ? "no-" : "";
  const names = optionLetters(definition).map((letter) => `-${letter}`);
  const long = `--${negation}${optionName(key)}`;
  const spelled = names.length > 0 ? [...names, long].join(", ") : `    ${long}`;
  return definition.type === "boolean" ? spelled : `${spelled} ${valueName(key, definition)}`;
}

/** What help and completion say of an option. */
export function optionDescription(definition: ArgDef): string {
  if (definition.type === "boolean" && definition.negativeDescription) {
    return definition.negativeDescription;
  }
  return definition.description ?? "";
}

function optionRows(args: ArgsDef): Row[] {
  return Object.entries(args)
    .filter(([, definition]) => definition.type !== "positional")
    .map(([key, definition]) => [optionSpelling(key, definition), optionDescription(definition)]);
}

async function tableRows(table: CommandTable): Promise<Row[]> {
  return await Promise.all(
    Object.entries(table).map(async ([name, entry]): Promise<Row> => {
      const names = [name, ...(entry.aliases ?? [])].join(", ");
      const description =
        "load" in entry ? (await entry.load()).meta.description : entry.description;
      return [names, description];
    }),
  );
}

function block(heading: string, rows: Row[], style: Style): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd());
  return [style.bold(`${heading}:`), ...lines].join("\n");
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
