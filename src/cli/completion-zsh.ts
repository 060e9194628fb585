import {
  type CompletedCommand,
  completedGlobals,
  type CompletedOption,
  type CompletedStep,
  completedSteps,
} from "./completion.ts";

/** Writes the completion for zsh. */
export function zshCompletion(commands: CompletedCommand[]): string {
  return `#compdef pogo
# pogo completion zsh > "\${fpath[1]}/_pogo"
_pogo() {
  local context state state_descr line
  typeset -A opt_args
  _pogo_at ''
}

_pogo_at() {
  local -a commands options
  local curcontext=$curcontext state line path=$1
  case $path in
${commands.map(placeCase).join("\n")}
  esac
  if (( $#commands )); then
    _arguments -C -S -s $options '1: :->command' '*:: :->rest'
    case $state in
    command) _describe -t commands 'pogo command' commands ;;
    rest)
      case "$path/$line[1]" in
${completedSteps(commands).map(stepCase).join("\n")}
      esac
      ;;
    esac
  else
    _arguments -S -s $options '*: :_files'
  fi
}

if [[ $funcstack[1] == _pogo ]]; then
  _pogo "$@"
else
  compdef _pogo pogo
fi
`;
}

function placeCase({ place, children, options }: CompletedCommand): string {
  const described = children.map(({ name, description }) => quote(`${name}:${description}`));
  const specs = [...completedGlobals, ...options].map(spec);
  return `  ${place || "''"})
    commands=(${described.join(" ")})
    options=(
      ${specs.join("\n      ")}
    )
    ;;`;
}

function stepCase({ spellings, place }: CompletedStep): string {
  return `      ${spellings.join("|")}) _pogo_at ${place} ;;`;
}

function spec({ names, description, takesValue, choices, isDirectory }: CompletedOption): string {
  const text = `[${description.replace(/[[\]:\\]/g, "\\$&")}]`;
  const action = choices.length > 0 ? `(${choices.join(" ")})` : isDirectory ? "_directories" : "";
  const value = takesValue ? `: :${action || " "}` : "";
  const [name = ""] = names;
  if (names.length === 1) return quote(`${longWithValue(name, takesValue)}${text}${value}`);
  const spelled = names.map((word) => longWithValue(word, takesValue)).join(",");
  return `${quote(`(${names.join(" ")})`)}{${spelled}}${quote(`${text}${value}`)}`;
}

function longWithValue(name: string, takesValue: boolean): string {
  if (!takesValue) return name;
  return name.startsWith("--") ? `${name}=` : `${name}+`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
