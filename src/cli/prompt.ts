import { ReadStream } from "node:tty";

import { PogoError } from "#core/errors.ts";
import { checkToken } from "#client/credentials.ts";
import type { Context } from "./context.ts";
import { writeStderr } from "./output.ts";

const inputBytesMax = 64 * 1024;

/** Asks for a line on the terminal without showing it. */
export async function askSecret(context: Context, question: string): Promise<string> {
  const { signal } = context;
  const terminal = new ReadStream(0);
  terminal.setRawMode(true);
  writeStderr(`${question}: `);
  let line = "";
  try {
    for await (const chunk of terminal) {
      const text = String(chunk);
      const end = text.search(/[\r\n\u0003\u0004]/);
      for (const character of end < 0 ? text : text.slice(0, end)) {
        if (character === "\x7f" || character === "\b") line = line.slice(0, -1);
        else line += character;
      }
      if (end < 0) continue;
      // In raw mode Ctrl-C is a character like any other.
      if (text[end] === "\u0003") await interrupt(signal);
      break;
    }
  } finally {
    terminal.setRawMode(false);
    terminal.destroy();
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

/** Reads a token from stdin: one line, its end left away. */
export async function readTokenFromStdin(): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const bytes of Bun.stdin.stream()) {
    text += decoder.decode(bytes, { stream: true });
    if (text.length > inputBytesMax) throw new PogoError("usage", "stdin is too long for a token");
  }
  return checkToken(text.trim());
}
