import { type CompletedCommand, completedGlobals, type CompletedOption } from "./completion.ts";

/** Writes the completion for fish. */
export function fishCompletion(commands: CompletedCommand[]): string {
  const options = commands.flatMap((command) => command.options).concat(completedGlobals);
  const valued = new Set(options.filter((it) => it.takesValue).flatMap(({ names }) => names));
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
      case ${[...valued].map(quote).join(" ")}
        set skip 1
      case '-*'
      case '*'
        switch $path/$word
${commands.flatMap(step).join("\n")}
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

function step({ path, aliases }: CompletedCommand): string[] {
  if (path.length === 0) return [];
  const above = path
    .slice(0, -1)
    .map((name) => `/${name}`)
    .join("");
  const patterns = [path.at(-1), ...aliases].map((name) => `${above}/${name}`);
  return [`          case ${patterns.join(" ")}`, `            set path /${path.join("/")}`];
}

function lines({ path, children, options, takesPaths }: CompletedCommand): string[] {
  const where = path.map((name) => `/${name}`).join("");
  const condition = `-n ${quote(`test (__pogo_path) = '${where}'`)}`;
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
