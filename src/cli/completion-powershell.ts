import { type CompletedCommand, completedGlobals, type CompletedOption } from "./completion.ts";

/** Writes the completion for PowerShell. */
export function powershellCompletion(commands: CompletedCommand[]): string {
  const options = commands.flatMap((command) => command.options).concat(completedGlobals);
  const valued = [...new Set(options.filter((it) => it.takesValue).flatMap(({ names }) => names))];
  return `# pogo completion powershell >> $PROFILE
Register-ArgumentCompleter -Native -CommandName pogo -ScriptBlock {
  param($word, $line, $cursor)
  $steps = @{
${commands.flatMap(step).join("\n")}
  }
  $follow = @{
${commands.map(place).join("\n")}
  }
  $always = ${list([], completedGlobals)}
  $valued = @(${valued.map(quote).join(", ")})
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

function step({ path, aliases }: CompletedCommand): string[] {
  if (path.length === 0) return [];
  const above = path
    .slice(0, -1)
    .map((name) => `/${name}`)
    .join("");
  const whole = quote(`/${path.join("/")}`);
  return [path.at(-1), ...aliases].map((name) => `    ${quote(`${above}/${name}`)} = ${whole}`);
}

function place({ path, children, options }: CompletedCommand): string {
  const where = path.map((name) => `/${name}`).join("");
  return `    ${quote(where)} = ${list(children, options)}`;
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
