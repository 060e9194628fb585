import { PogoError } from "#core/errors.ts";
import { inputBytesMax } from "#core/limits.ts";
import type { Context } from "./context.ts";
import { writeStderr } from "./output.ts";

/** Asks for a line on the terminal without showing it. */
export async function askSecret(context: Context, question: string): Promise<string> {
  return await ask(context, `${question}: `, () => {});
}

/** Asks a question on the terminal that only "yes" says yes to. */
export async function askYes(context: Context, question: string): Promise<boolean> {
  return /^y(es)?$/i.test(await ask(context, `${question} (yes/no) `, writeStderr));
}

/** Asks for a line on the terminal. */
export async function askLine(context: Context, question: string): Promise<string> {
  return await ask(context, `${question} `, writeStderr);
}

async function ask(
  { signal }: Context,
  question: string,
  show: (typed: string) => void,
): Promise<string> {
  // The process's own stream, which can be listened to again: one that is closed takes the
  // terminal with it.
  const terminal = process.stdin;
  const { promise, resolve } = Promise.withResolvers<string>();
  let line = "";
  const read = (chunk: Uint8Array) => {
    const text = Buffer.from(chunk).toString();
    const end = text.search(/[\r\n\u0003\u0004]/);
    for (const character of end < 0 ? text : text.slice(0, end)) {
      const isBack = character === "\x7f" || character === "\b";
      if (isBack && line !== "") show("\b \b");
      else if (!isBack) show(character);
      line = isBack ? line.slice(0, -1) : line + character;
    }
    if (end >= 0) resolve(text.charAt(end));
  };
  terminal.setRawMode(true);
  writeStderr(question);
  terminal.on("data", read);
  terminal.resume();
  terminal.once("end", () => resolve(""));
  try {
    // In raw mode Ctrl-C is a character like any other.
    if ((await promise) === "\u0003") await interrupt(signal);
  } finally {
    terminal.off("data", read);
    terminal.pause();
    terminal.setRawMode(false);
    writeStderr("\n");
  }
  signal.throwIfAborted();
  return line.trim();
}

async function interrupt(signal: AbortSignal): Promise<void> {
  const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
  process.kill(process.pid, "SIGINT");
  await aborted;
}

/** Reads a secret from stdin: one line, its end left away. */
export async function readLineFromStdin(): Promise<string> {
  return new TextDecoder().decode(await readStdin()).trim();
}

/** Reads a secret of any number of lines from stdin. The end of an only line is no part of it. */
export async function readTextFromStdin(): Promise<string> {
  const bytes = await readStdin();
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return text.replace(/^([^\r\n]*)\r?\n$/, "$1");
  } catch (cause) {
    throw new PogoError("usage", "what stdin says is no text", {
      hint: "write it in base64",
      cause,
    });
  }
}

async function readStdin(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of Bun.stdin.stream()) {
    parts.push(bytes);
    size += bytes.length;
    if (size > inputBytesMax) {
      throw new PogoError("usage", `stdin has more than ${inputBytesMax} bytes`);
    }
  }
  return Buffer.concat(parts);
}
