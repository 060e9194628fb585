import {
  type CompletedCommand,
  completedGlobals,
  type CompletedOption,
  type CompletedStep,
  completedSteps,
  valuedOptions,
} from "./completion.ts";

/** Writes the completion for fish. */
export function fishCompletion(commands: CompletedCommand[]): string {
  return `# pogo completion fish > ~/.config/fish/completions/pogo.fish
function __pogo_path
  set -l path ''
  set -l skip 0
  for word in (commandline -opc)[2..]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
      case ${valuedOptions(commands).map(quote).join(" ")}
        set skip 1
      case '-*'
      case '*'
        switch $path/$word
${completedSteps(commands).map(stepCase).join("\n")}
        end
    end
  end
  echo $path
end

complete -c pogo -f
${completedGlobals.map((option) => optionLine(option, undefined)).join("\n")}
${commands.flatMap(lines).join("\n")}
`;
}

function stepCase({ spellings, place }: CompletedStep): string {
  return `          case ${spellings.join(" ")}\n            set path ${place}`;
}

function lines({ place, children, options, takesPaths }: CompletedCommand): string[] {
  const condition = `-n ${quote(`test (__pogo_path) = '${place}'`)}`;
  return [
    ...children.map(({ name, description }) => {
      return `complete -c pogo ${condition} -a ${name} -d ${quote(description)}`;
    }),
    ...options.map((option) => optionLine(option, condition)),
    ...(takesPaths ? [`complete -c pogo ${condition} -F`] : []),
  ];
}

function optionLine(option: CompletedOption, condition: string | undefined): string {
  const { names, description, takesValue, choices, isDirectory } = option;
  const spelled = names.map((name) => {
    return name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`;
  });
  const values =
    choices.length > 0
      ? `-x -a ${quote(choices.join(" "))}`
      : isDirectory
        ? "-x -a '(__fish_complete_directories)'"
        : takesValue
          ? "-x"
          : "";
  const words = ["complete -c pogo", condition, ...spelled, values, `-d ${quote(description)}`];
  return words.filter(Boolean).join(" ");
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, "\\$&")}'`;
}
