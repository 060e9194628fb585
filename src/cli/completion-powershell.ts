import {
  type CompletedCommand,
  completedGlobals,
  type CompletedOption,
  type CompletedStep,
  completedSteps,
  valuedOptions,
} from "./completion.ts";

/** Writes the completion for PowerShell. */
export function powershellCompletion(commands: CompletedCommand[]): string {
  return `# pogo completion powershell >> $PROFILE
Register-ArgumentCompleter -Native -CommandName pogo -ScriptBlock {
  param($word, $line, $cursor)
  $steps = @{
${completedSteps(commands).flatMap(stepPairs).join("\n")}
  }
  $follow = @{
${commands.map(placePair).join("\n")}
  }
  $always = ${list([], completedGlobals)}
  $valued = @(${valuedOptions(commands).map(quote).join(", ")})
  $path = ''
  $skip = $false
  foreach ($element in ($line.CommandElements | Select-Object -Skip 1)) {
    $text = $element.ToString()
    if ($element.Extent.EndOffset -ge $cursor -and $text -eq $word) { break }
    if ($skip) { $skip = $false; continue }
    if ($valued -ccontains $text) { $skip = $true; continue }
    if ($text.StartsWith('-')) { continue }
    if ($steps.ContainsKey("$path/$text")) { $path = $steps["$path/$text"] }
  }
  if ($skip) { return }
  $follow[$path] + $always |
    Where-Object { $_[0] -clike "$word*" -and ($word.StartsWith('-') -or -not $_[0].StartsWith('-')) } |
    ForEach-Object {
      [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])
    }
}
`;
}

function stepPairs({ spellings, place }: CompletedStep): string[] {
  return spellings.map((spelling) => `    ${quote(spelling)} = ${quote(place)}`);
}

function placePair({ place, children, options }: CompletedCommand): string {
  return `    ${quote(place)} = ${list(children, options)}`;
}

function list(children: CompletedCommand["children"], options: CompletedOption[]): string {
  const pairs = [
    ...children.map(({ name, description }) => [name, description]),
    ...options.flatMap(({ names, description }) => names.map((name) => [name, description])),
  ];
  // The comma keeps PowerShell from taking a list of one pair for the pair.
  const spelled = pairs.map(([name = "", text = ""]) => `, @(${quote(name)}, ${quote(text)})`);
  return spelled.length === 0 ? "@()" : `@(${spelled.join("; ")})`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
