/** The root command: a table of lazy imports, so that a command pays for nothing but itself. */
import type { Program } from "#cli/command.ts";
import { runProgram } from "#cli/shell.ts";

const program: Program = {
  name: "pogo",
  description: "Pogo is a version control system: one server, small changes, nothing ever lost.",
  sections: {},
};

await runProgram(program);
