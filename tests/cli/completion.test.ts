/** Completion in the shells themselves. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openPogo, type Pogo } from "../support/pogo.ts";

let pogo: Pogo;
let directory: string;
beforeAll(async () => {
  pogo = openPogo();
  directory = join(pogo.home, "work");
  mkdirSync(join(directory, "folder"), { recursive: true });
  writeFileSync(join(directory, "a file.txt"), "");
  writeFileSync(join(pogo.home, "zshrc"), zshrc);
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    writeFileSync(join(pogo.home, shell), await pogo.ok(["completion", shell]));
  }
}, 60_000);
afterAll(() => pogo[Symbol.dispose]());

type Complete = (line: string) => Promise<string[]>;

/** Makes an interactive zsh complete with pogo alone, and write down what it would offer. */
const zshrc = `
  PROMPT= RPROMPT=
  autoload -Uz compinit && compinit -u -D
  source "$HOME/zsh"
  zstyle ":completion:*" verbose no
  compadd() {
    [[ \${@[1,(i)(-|--)]} == *-(O|A|D)* ]] && { builtin compadd "$@"; return }
    local -a hits
    builtin compadd -A hits "$@"
    print -rl -- "<"$^hits">" >>"$HOME/hits"
    builtin compadd "$@"
  }`;

/** What a shell offers at the end of a line. */
const shells: Record<string, Complete> = {
  async bash(line) {
    const script = `
      source "$HOME/bash"
      read -ra COMP_WORDS <<< "$LINE"
      [[ $LINE == *" " ]] && COMP_WORDS+=("")
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      compopt() { :; }
      _pogo
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await run(["bash", "--norc", "-c", script], line)).split("\n");
  },
  async zsh(line) {
    const typist = `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell 'source "$HOME/zshrc"'
      zpty -w shell 'print -r -- READY'
      while zpty -r shell out; do [[ $out == *READY* && $out != *print* ]] && break; done
      zpty -n -w shell "$LINE"$'\\t'
      zpty -w shell $'\\x15print -r -- DONE'
      while zpty -r shell out; do [[ $out == *DONE* && $out != *print* ]] && break; done
      zpty -d shell
      cat "$HOME/hits" 2>/dev/null; rm -f "$HOME/hits"`;
    const said = await run(["zsh", "-f", "-c", typist], line);
    return [...said.matchAll(/^<(.*)>$/gm)].map(([, word = ""]) => word);
  },
  async fish(line) {
    const script = 'source "$HOME/fish"; complete -C "$LINE"';
    const said = await run(["fish", "--no-config", "-c", script], line);
    return said.split("\n").map((row) => row.split("\t")[0] ?? "");
  },
};

describe.each(Object.entries(shells))("%s", (name, complete) => {
  test.skipIf(!Bun.which(name))("completes commands, options, their values and paths", async () => {
    expect(await complete("pogo st")).toContain("status");
    expect(await complete("pogo -C folder wh")).toContain("whoami");
    expect((await complete("pogo bookmark ")).sort()).toEqual(["delete", "list", "set"]);
    expect(await complete("pogo b de")).toContain("delete");
    expect(await complete("pogo push --mes")).toContainEqual(
      expect.stringMatching(/^--message=?$/),
    );
    expect(await complete("pogo status --js")).toContain("--json");
    expect((await complete("pogo login --store ")).sort()).toEqual(["file", "keyring"]);
    expect(await complete("pogo diff a")).toContainEqual(expect.stringMatching(/^a(\\)? file.txt/));
    expect(await complete("pogo status --mes")).not.toContain("--message");
  });
});

test("the script for PowerShell names every command once", async () => {
  const script = await pogo.ok(["completion", "powershell"]);
  expect(script).toContain("'/bookmark/set' = @(");
  expect(script).toContain("'/st' = '/status'");
  expect(script.split("'/push' = '/push'")).toHaveLength(2);
});

test("a shell that there is no completion for is refused", async () => {
  const { stderr, exitCode } = await pogo.run(["completion", "fihs"]);
  expect(stderr).toBe(
    'pogo: error: there is no completion for "fihs"\npogo: hint: did you mean fish?\n',
  );
  expect(exitCode).toBe(2);
});

async function run(command: string[], line: string): Promise<string> {
  await using child = Bun.spawn(command, {
    cwd: directory,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...pogo.environment, LINE: line, TERM: "dumb" },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if (stderr !== "") throw new Error(`${command[0]} said: ${stderr}`);
  return stdout.trimEnd();
}
