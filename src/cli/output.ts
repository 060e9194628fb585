/**
 * What a command says. stdout carries results only: text for people, or one JSON value with
 * --json. Everything else is stderr. Text may hold anything that a server or a file name said, so
 * control characters are spelled out, `\x1b`, before they reach a terminal: names go through
 * `quoteName`, and whatever was forgotten is caught at the end, by `printable`.
 */
import { write as writeAsync, writeSync } from "node:fs";

import { PogoError } from "#core/errors.ts";

/** Thrown when nobody reads stdout any more: the command ends, and that is no failure. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** Colors for a text. Without color they return it as it is. */
export type Style = Record<StyleName, (text: string) => string>;

/** Makes a text from the style that the terminal allows. */
export type Text = string | ((style: Style) => string);

export type Output = {
  /** Prints what was asked for. */
  print(result: unknown, text: Text): void;
  /** Prints what was done: not with -q, but always as JSON. */
  report(result: unknown, text: Text): void;
  /** Writes file contents: as they are, except that a terminal gets no control characters. */
  write(contents: Uint8Array | string): Promise<void>;
  /** Says something beside the result, on stderr; not with -q or --json. */
  note(text: Text): void;
  /** Says on stderr what the user should know although it worked; also with -q. */
  warn(message: string, hint?: string): void;
  /** Style of what goes to stdout, for texts that are streamed with `write`. */
  style: Style;
};

export type OutputOptions = {
  json: boolean;
  quiet: boolean;
  /** Whether stdout and stderr show color. */
  color: { stdout: boolean; stderr: boolean };
  /** Whether stdout is a terminal. */
  terminal: boolean;
};

const styleCodes = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
} as const;

type StyleName = keyof typeof styleCodes;

const colored = styleOf((start, end) => (text) => `\x1b[${start}m${text}\x1b[${end}m`);
const plain = styleOf(() => (text) => text);

/** Opens the two streams that a command writes to. */
export function openOutput(options: OutputOptions): Output {
  const { json, quiet, color, terminal } = options;
  const style = color.stdout ? colored : plain;
  const decoder = new TextDecoder();
  const print = (result: unknown, text: Text) => {
    const line = json ? toJson(result) : printable(render(text, style), color.stdout);
    if (line !== "") writeStdout(endLine(line));
  };
  const note = (text: Text) => {
    if (quiet || json) return;
    const line = render(text, color.stderr ? colored : plain);
    writeStderr(endLine(printable(line, color.stderr)));
  };
  return {
    print,
    report: (result, text) => {
      if (json || !quiet) print(result, text);
    },
    async write(contents) {
      if (!terminal) return await writeAll(contents);
      const text =
        typeof contents === "string" ? contents : decoder.decode(contents, { stream: true });
      await writeAll(printable(text, color.stdout));
    },
    note,
    warn: (message, hint) => {
      if (json) return writeStderr(`${toJson({ warning: { message, hint } })}\n`);
      writeStderr(`pogo: warning: ${printable(message, false)}\n`);
      if (hint) writeStderr(`pogo: hint: ${printable(hint, false)}\n`);
    },
    style,
  };
}

/** Prints a failure on stderr: two lines for people, one object for programs. */
export function printError(
  error: { code: string; message: string; hint?: string | undefined },
  { json, color }: { json: boolean; color: boolean },
): void {
  const { code, message, hint } = error;
  if (json) {
    writeStderr(`${toJson({ error: { code, message, ...(hint && { hint }) } })}\n`);
    return;
  }
  const { red, cyan } = color ? colored : plain;
  const indented = (text: string) => printable(text, false).replaceAll("\n", "\n  ");
  writeStderr(`pogo: ${red("error:")} ${indented(message)}\n`);
  if (hint) writeStderr(`pogo: ${cyan("hint:")} ${indented(hint)}\n`);
}

/** Spells a name on one line: in double quotes, as git does, if it holds what must be escaped. */
export function quoteName(name: string): string {
  const escaped = name.replace(unsafeInNames, (character) => {
    const short = shortEscapes[character];
    if (short) return short;
    const octal = (byte: number) => `\\${byte.toString(8).padStart(3, "0")}`;
    return Array.from(Buffer.from(character), octal).join("");
  });
  return escaped === name ? name : `"${escaped}"`;
}

/** First line of a text such as a description, whatever it holds. */
export function firstLine(text: string): string {
  return printable(text.trimStart().split("\n", 1)[0] ?? "", false);
}

/** Replaces what a terminal would obey; only the colors above may stay. */
export function printable(text: string, keepStyle: boolean): string {
  return text.replace(keepStyle ? controlsOrStyle : controls, (found) =>
    found.length > 1 ? found : escapeControl(found),
  );
}

// Controls but line feed and tab, and the characters that reorder the text around them.
const controlClass = "\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u202a-\\u202e\\u2066-\\u2069";
const controls = new RegExp(`[${controlClass}]`, "g");
const controlsOrStyle = new RegExp(
  `\\u001b\\[(?:${Object.values(styleCodes).flat().join("|")})m|[${controlClass}]`,
  "g",
);
const unsafeInNames = new RegExp(`["\\\\\\t\\n${controlClass}]`, "g");
const shortEscapes: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
};

function escapeControl(character: string): string {
  const code = character.charCodeAt(0);
  if (code > 0xff) return `\\u${code.toString(16)}`;
  return `\\x${code.toString(16).padStart(2, "0")}`;
}

function toJson(value: unknown): string {
  // JSON escapes the other controls itself.
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function styleOf(make: (start: number, end: number) => (text: string) => string): Style {
  const entries = Object.entries(styleCodes).map(([name, [start, end]]) => [
    name,
    make(start, end),
  ]);
  return Object.fromEntries(entries);
}

function render(text: Text, style: Style): string {
  return typeof text === "string" ? text : text(style);
}

function endLine(text: string): string {
  return text.endsWith("\n") || text === "" ? text : `${text}\n`;
}

// process.stdout costs 14 ms to open, so results are written to the descriptor. A pipe may be
// full and not block: then there is nothing better to do than to wait for its reader.
function writeStdout(text: string): void {
  let bytes: Uint8Array = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      if (!isCode(error, "EAGAIN")) throw outputError(error);
      Bun.sleepSync(1);
    }
  }
}

/** Writes to stderr as far as that is possible. */
export function writeStderr(text: string): void {
  let bytes: Uint8Array = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(2, bytes));
    } catch (error) {
      // Whoever closed stderr does not want to know.
      if (!isCode(error, "EAGAIN")) return;
      Bun.sleepSync(1);
    }
  }
}

async function writeAll(contents: Uint8Array | string): Promise<void> {
  let bytes: Uint8Array = typeof contents === "string" ? Buffer.from(contents) : contents;
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(await writeSome(bytes));
    } catch (error) {
      if (!isCode(error, "EAGAIN")) throw outputError(error);
      await Bun.sleep(1);
    }
  }
}

function writeSome(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    writeAsync(1, bytes, (error, count) => (error ? reject(error) : resolve(count)));
  });
}

function outputError(error: unknown): Error {
  if (isCode(error, "EPIPE")) return new BrokenPipe();
  const { message } = error instanceof Error ? error : new Error(String(error));
  return new PogoError("unavailable", `cannot write to standard output: ${message}`, {
    cause: error,
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
