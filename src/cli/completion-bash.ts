import {
  type CompletedCommand,
  completedGlobals,
  type CompletedOption,
  type CompletedStep,
  completedSteps,
  valuedOptions,
} from "./completion.ts";

/** Writes the completion for bash. It needs no package beside bash itself. */
export function bashCompletion(commands: CompletedCommand[]): string {
  return `# pogo completion bash > /etc/bash_completion.d/pogo
_pogo() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} path= word words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
    --) break ;;
    ${valuedOptions(commands).join(" | ")}) ((i++)) ;;
    -*) ;;
    *)
      case "$path/$word" in
${completedSteps(commands).map(stepCase).join("\n")}
      esac
      ;;
    esac
  done
  case "$path $prev" in
${commands.flatMap(valueCases).join("\n")}
${completedGlobals.flatMap((option) => valueCase(option, "*")).join("\n")}
  esac
  case $path in
${commands.map(wordsCase).join("\n")}
  esac
  if [[ $cur == -* ]]; then
    words+=" ${completedGlobals.flatMap(({ names }) => names).join(" ")}"
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  elif [[ $words == ": "* ]]; then
    COMPREPLY=($(compgen -W "\${words#: }" -- "$cur"))
  else
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}
complete -F _pogo pogo
`;
}

function stepCase({ spellings, place }: CompletedStep): string {
  return `      ${spellings.join(" | ")}) path=${place} ;;`;
}

function valueCases(command: CompletedCommand): string[] {
  return command.options.flatMap((option) => valueCase(option, command.place));
}

function valueCase(option: CompletedOption, where: string): string[] {
  if (!option.takesValue) return [];
  const pattern = option.names.map((name) => `${where}" ${name}"`).join(" | ");
  if (option.choices.length > 0) {
    const words = option.choices.join(" ");
    return [`  ${pattern}) COMPREPLY=($(compgen -W "${words}" -- "$cur")) && return ;;`];
  }
  if (!option.isDirectory) return [`  ${pattern}) return ;;`];
  return [
    `  ${pattern})`,
    "    compopt -o filenames",
    '    mapfile -t COMPREPLY < <(compgen -d -- "$cur")',
    "    return",
    "    ;;",
  ];
}

// A colon before the words says that commands follow, and not paths.
function wordsCase({ place, children, options }: CompletedCommand): string {
  const names = children.map(({ name }) => name);
  const spelled = options.flatMap((option) => option.names);
  const words = children.length > 0 ? `: ${names.join(" ")}` : spelled.join(" ");
  return `  ${place || '""'}) words="${words}" ;;`;
}
