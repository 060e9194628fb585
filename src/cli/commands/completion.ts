import { type Command, command, type Program } from "../command.ts";
import { bashCompletion } from "../completion-bash.ts";
import { fishCompletion } from "../completion-fish.ts";
import { powershellCompletion } from "../completion-powershell.ts";
import { completedCommands } from "../completion.ts";
import { zshCompletion } from "../completion-zsh.ts";
import { nearest } from "../nearest.ts";
import { PogoError } from "#core/errors.ts";

const shells = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
  powershell: powershellCompletion,
};

/** Makes the command that writes completion for the program that it is part of. */
export function completion(program: Program): Command {
  return command({
    meta: {
      description: "print what makes a shell complete pogo's commands and options",
      examples: [
        'eval "$(pogo completion bash)"',
        'pogo completion zsh > "${fpath[1]}/_pogo"',
        "pogo completion fish > ~/.config/fish/completions/pogo.fish",
        "pogo completion powershell >> $PROFILE",
      ],
    },
    args: {
      shell: {
        type: "positional",
        required: true,
        valueHint: "SHELL",
        description: Object.keys(shells).join(", "),
      },
    },
    async run({ args, context }) {
      const write = Object.entries(shells).find(([name]) => name === args.shell)?.[1];
      if (!write) {
        const similar = nearest(args.shell, Object.keys(shells));
        throw new PogoError("usage", `there is no completion for "${args.shell}"`, {
          hint: similar ? `did you mean ${similar}?` : `one of ${Object.keys(shells).join(", ")}`,
        });
      }
      const script = write(await completedCommands(program));
      context.print({ shell: args.shell, script }, script);
    },
  });
}
