/**
 * Reads a command line. citty accepts options that do not exist, takes a value such as `--no-x`
 * for a negation, and drops what it does not understand; so the line is read here, strictly, and
 * handed to citty respelled: `--key=value` for each option, then `--`, then the positionals.
 */
import type { ArgDef, ArgsDef } from "citty";

import { PogoError } from "#core/errors.ts";
import { type Command, optionLetters, optionName, valueName } from "./command.ts";
import { nearest } from "./nearest.ts";

/** What stands before or after any command. */
export const globalArgs = {
  directory: {
    type: "string",
    alias: "C",
    valueHint: "DIR",
    description: "run as if started in DIR",
  },
  json: { type: "boolean", description: "print the result, or the error, as JSON" },
  quiet: { type: "boolean", alias: "q", description: "say nothing but what was asked for" },
  verbose: { type: "boolean", alias: "v", description: "say more, and where an error came from" },
  color: {
    type: "enum",
    options: ["auto", "always", "never"],
    description: "color the output (default: auto; NO_COLOR is obeyed)",
  },
  progress: { type: "boolean", default: true, negativeDescription: "show no progress" },
  version: { type: "boolean", description: "print the version" },
  help: { type: "boolean", alias: "h", description: "explain the command" },
} as const satisfies ArgsDef;

/** An option as given: `value` is absent from a flag, `negated` is `--no-…`. */
type Given = { key: string; value: string | undefined; negated: boolean };

/** The global options of a command line. */
export type Globals = {
  directories: string[];
  json: boolean;
  quiet: boolean;
  verbose: boolean;
  color: "auto" | "always" | "never";
  progress: boolean;
  version: boolean;
  help: boolean;
};

/** Global options that stand before the command, and the words from the command's name on. */
export function readGlobals(line: string[], globals: Globals): string[] {
  let index = 0;
  while (index < line.length) {
    const word = line[index] ?? "";
    if (!isOption(word)) break;
    const { given, next } = readOption(line, index, globalArgs, "pogo");
    for (const option of given) setGlobal(globals, option);
    index = next;
  }
  return line.slice(index);
}

/** Reads what follows a command's name; global options go to `globals`. */
export function readArguments(
  command: Command,
  path: string,
  line: string[],
  globals: Globals,
): { raw: string[]; rest: string[]; check: () => void } {
  const options: Given[] = [];
  const positionals: string[] = [];
  const repeated: string[] = [];
  const args: ArgsDef = { ...command.args, ...globalArgs };
  for (let index = 0; index < line.length;) {
    const word = line[index] ?? "";
    if (word === "--") {
      positionals.push(...line.slice(index + 1));
      break;
    }
    if (!isOption(word)) {
      positionals.push(word);
      index++;
      continue;
    }
    const { given, next } = readOption(line, index, args, path);
    for (const option of given) {
      const isFirst = !options.some(({ key }) => key === option.key);
      if (option.key in globalArgs) setGlobal(globals, option);
      else if (isFirst || option.key !== command.repeated) options.push(option);
      else repeated.push(option.value ?? "");
    }
    index = next;
  }
  const named = namedPositionals(command).length;
  return {
    raw: [...options.map(spell), "--", ...positionals.slice(0, named)],
    rest: command.repeated ? repeated : positionals.slice(named),
    // Checked apart from reading: `pogo cat --help` lacks its arguments, and is right.
    check: () => checkArguments(command, path, options, positionals),
  };
}

/** Positionals of a command that have a name, in order. */
export function namedPositionals(command: Command): [string, ArgDef][] {
  return Object.entries(command.args).filter(([, definition]) => definition.type === "positional");
}

/** A whole number that an option was given, between bounds. */
export function wholeNumber(text: string, option: string, min: number, max: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new PogoError("usage", `option ${option} needs a whole number ${range}, not "${text}"`);
}

/** An error of usage, with the hint that helps most: how the command explains itself. */
export function usageError(path: string, message: string): PogoError {
  return new PogoError("usage", message, { hint: `${path} --help` });
}

function isOption(word: string): boolean {
  return word.startsWith("-") && word !== "-" && word !== "--";
}

function readOption(
  line: string[],
  index: number,
  args: ArgsDef,
  path: string,
): { given: Given[]; next: number } {
  const word = line[index] ?? "";
  return word.startsWith("--")
    ? readLong(word, line, index, args, path)
    : readShort(word, line, index, args, path);
}

function readLong(word: string, line: string[], index: number, args: ArgsDef, path: string) {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  const inline = equals < 0 ? undefined : word.slice(equals + 1);
  const { key, definition, negated } = findLong(name, args, path);
  if (definition.type === "boolean") {
    if (inline !== undefined) throw usageError(path, `option ${name} takes no value`);
    return { given: [{ key, value: undefined, negated }], next: index + 1 };
  }
  const value = inline ?? line[index + 1];
  if (value === undefined) throw missingValue(path, name, key, definition);
  checkChoice(path, name, value, definition);
  return { given: [{ key, value, negated: false }], next: index + (inline === undefined ? 2 : 1) };
}

function readShort(word: string, line: string[], index: number, args: ArgsDef, path: string) {
  const given: Given[] = [];
  for (let at = 1; at < word.length; at++) {
    const letter = word.charAt(at);
    const found = Object.entries(args).find(([, it]) => optionLetters(it).includes(letter));
    if (!found) throw unknownOption(path, `-${letter}`, args);
    const [key, definition] = found;
    if (definition.type === "boolean") {
      given.push({ key, value: undefined, negated: false });
      continue;
    }
    const inline = word.slice(at + 1);
    const value = inline || line[index + 1];
    if (value === undefined) throw missingValue(path, `-${letter}`, key, definition);
    checkChoice(path, `-${letter}`, value, definition);
    given.push({ key, value, negated: false });
    return { given, next: index + (inline ? 1 : 2) };
  }
  return { given, next: index + 1 };
}

function findLong(name: string, args: ArgsDef, path: string) {
  for (const [key, definition] of Object.entries(args)) {
    if (definition.type === "positional") continue;
    if (name === `--${optionName(key)}`) return { key, definition, negated: false };
    if (hasNegation(definition) && name === `--no-${optionName(key)}`) {
      return { key, definition, negated: true };
    }
  }
  throw unknownOption(path, name, args);
}

function hasNegation(definition: ArgDef): boolean {
  return definition.type === "boolean" && definition.default === true;
}

function unknownOption(path: string, name: string, args: ArgsDef): PogoError {
  const known = Object.entries(args).flatMap(([key, definition]) => {
    if (definition.type === "positional") return [];
    return [`--${hasNegation(definition) ? "no-" : ""}${optionName(key)}`];
  });
  const similar = name.startsWith("--") ? nearest(name, known) : undefined;
  const hint = similar ? `did you mean ${similar}?` : `${path} --help`;
  return new PogoError("usage", `unknown option ${name}`, { hint });
}

function missingValue(path: string, name: string, key: string, definition: ArgDef): PogoError {
  return usageError(path, `option ${name} needs a value: ${name} ${valueName(key, definition)}`);
}

function checkChoice(path: string, name: string, value: string, definition: ArgDef): void {
  if (definition.type !== "enum" || definition.options?.includes(value)) return;
  const choices = definition.options?.join(", ");
  throw usageError(path, `option ${name} is one of ${choices}, not "${value}"`);
}

function checkArguments(
  command: Command,
  path: string,
  options: Given[],
  positionals: string[],
): void {
  const seen = new Set<string>();
  for (const { key } of options) {
    // The last one would win, and what the first one said be lost in silence.
    if (seen.has(key)) throw usageError(path, `option --${optionName(key)} is given twice`);
    seen.add(key);
  }
  for (const [key, definition] of Object.entries(command.args)) {
    if (definition.type === "positional" || !definition.required || seen.has(key)) continue;
    throw usageError(path, `option --${optionName(key)} is missing`);
  }
  const named = namedPositionals(command);
  named.forEach(([key, definition], index) => {
    if (definition.required === false || index < positionals.length) return;
    throw usageError(path, `argument ${valueName(key, definition)} is missing`);
  });
  const extra = positionals[named.length];
  if (extra === undefined && command.rest?.required) {
    throw usageError(path, `argument ${command.rest.valueHint} is missing`);
  }
  if (extra !== undefined && !command.rest) {
    const what = command.meta.isPrivate ? "an argument too many" : `unexpected argument "${extra}"`;
    throw usageError(path, what);
  }
}

function spell({ key, value, negated }: Given): string {
  if (value === undefined) return negated ? `--no-${key}` : `--${key}`;
  return `--${key}=${value}`;
}

function setGlobal(globals: Globals, { key, value, negated }: Given): void {
  switch (key) {
    case "directory":
      globals.directories.push(value ?? "");
      break;
    case "color":
      globals.color = value === "always" || value === "never" ? value : "auto";
      break;
    case "json":
    case "quiet":
    case "verbose":
    case "progress":
    case "version":
    case "help":
      globals[key] = !negated;
  }
}
