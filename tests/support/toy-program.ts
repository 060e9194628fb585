/** A program of toy commands behind the real shell, to see the shell work without a server. */
import { command, type Program } from "#cli/command.ts";
import { quoteName } from "#cli/output.ts";
import { runProgram } from "#cli/shell.ts";
import { PogoError } from "#core/errors.ts";

const echo = command({
  meta: { description: "show what was understood", examples: ["pogo echo a b"] },
  args: {
    first: { type: "positional", required: true, valueHint: "FIRST", description: "one" },
    second: { type: "positional", required: false, valueHint: "SECOND", description: "two" },
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "a text" },
    limit: { type: "string", alias: "n", valueHint: "N", description: "a number" },
    tokenStdin: { type: "boolean", description: "a flag" },
    kind: { type: "enum", options: ["small", "large"], description: "a choice" },
  },
  rest: { valueHint: "PATH", description: "more" },
  run({ args, rest, context }) {
    const { first, second, message, limit, tokenStdin, kind } = args;
    context.print(
      { first, second, message, limit, tokenStdin, kind, rest, cwd: context.cwd },
      ({ green }) => `${green(quoteName(first))} ${message ?? ""}`,
    );
  },
});

const act = command({
  meta: { description: "do something" },
  run({ context }) {
    context.note("a note");
    context.report({ done: true }, "done");
  },
});

const fail = command({
  meta: { description: "fail in a way" },
  args: { how: { type: "positional", required: true, description: "the way" } },
  async run({ args, context }) {
    if (args.how === "bug") throw new Error("a bug");
    if (args.how === "system") await Bun.file("/nowhere/at/all").text();
    if (args.how === "wait") {
      context.print(null, "waiting");
      await new Promise(() => setInterval(() => {}, 1000));
    }
    if (args.how === "clean") {
      const { signal } = context;
      const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
      const alive = setInterval(() => {}, 1000);
      context.print(null, "waiting");
      await aborted;
      clearInterval(alive);
      context.print(null, "cleaned up");
      signal.throwIfAborted();
    }
    throw new PogoError("conflict", `the name is ${args.how}`, { hint: "pogo status" });
  },
});

const flood = command({
  meta: { description: "write without end" },
  async run({ context }) {
    for (;;) await context.write(new Uint8Array(65_536));
  },
});

const program: Program = {
  name: "pogo",
  description: "A toy.",
  sections: {
    all: {
      echo: { aliases: ["e"], load: async () => echo },
      act: { load: async () => act },
      fail: { load: async () => fail },
      flood: { load: async () => flood },
      group: {
        aliases: ["g"],
        description: "a group",
        commands: { echo: { load: async () => echo } },
      },
    },
  },
};

await runProgram(program);
