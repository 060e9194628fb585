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

/** What a shell offers at the end of each line. */
type Complete = (lines: string[]) => Promise<string[][]>;

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
    print -rl -- $hits >>"$HOME/hits"
    builtin compadd "$@"
  }`;

const shells: Record<string, Complete> = {
  async bash(lines) {
    const script = `
      source "$HOME/bash"
      compopt() { :; }
      while IFS= read -r line; do
        read -ra COMP_WORDS <<< "$line"
        [[ $line == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
        COMPREPLY=()
        _pogo
        printf '%s\n' "\${COMPREPLY[@]}" =====
      done <<< "$LINES_TO_COMPLETE"`;
    return answers(await run(["bash", "--norc", "-c", script], lines));
  },
  async zsh(lines) {
    // Before zsh reads it, the terminal itself would obey a Ctrl-U: so what ends a line goes in
    // front of it, after Ctrl-A.
    const typist = `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell 'source "$HOME/zshrc"'
      for line in \${(f)LINES_TO_COMPLETE}; do
        zpty -w shell "$line"$'\\t\\x01print -r -- DONE;: '
        while zpty -r shell out; do [[ $out == *DONE* && $out != *print* ]] && break; done
        cat "$HOME/hits" 2>/dev/null
        rm -f "$HOME/hits"
        print -r -- "====="
      done
      zpty -d shell`;
    return answers(await run(["zsh", "-f", "-c", typist], lines));
  },
  async fish(lines) {
    const script = `
      source "$HOME/fish"
      for line in (string split \\n "$LINES_TO_COMPLETE")
        complete -C "$line" | string replace -r '\\t.*' ''
        echo =====
      end`;
    return answers(await run(["fish", "--no-config", "-c", script], lines));
  },
};

const expectations: [line: string, offered: (string | RegExp)[], others?: "others"][] = [
  ["pogo st", ["status"], "others"],
  ["pogo -C folder wh", ["whoami"], "others"],
  ["pogo bookmark ", ["delete", "list", "protect", "rules", "set", "unprotect"]],
  ["pogo b de", ["delete"]],
  ["pogo push --mes", [/^--message=?$/]],
  ["pogo status --js", ["--json"]],
  ["pogo login --store ", ["file", "keyring"]],
  ["pogo diff a", [/^a\\? file\.txt$/]],
  ["pogo status --mes", []],
];

describe.each(Object.entries(shells))("%s", (name, complete) => {
  test.skipIf(!Bun.which(name))("completes commands, options, their values and paths", async () => {
    const all = await complete(expectations.map(([line]) => line));
    for (const [index, [line, expected, others]] of expectations.entries()) {
      const offered = (all[index] ?? []).sort();
      if (!others)
        expect({ line, count: offered.length }).toEqual({ line, count: expected.length });
      for (const word of expected) {
        const matches = (it: string) => (typeof word === "string" ? it === word : word.test(it));
        expect({ line, offered, found: offered.some(matches) }).toMatchObject({ found: true });
      }
    }
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

function answers(said: string): string[][] {
  const blocks = said.split("=====\n").slice(0, -1);
  return blocks.map((block) => block.split("\n").filter((word) => word !== ""));
}

async function run(command: string[], lines: string[]): Promise<string> {
  await using child = Bun.spawn(command, {
    cwd: directory,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...pogo.environment, LINES_TO_COMPLETE: lines.join("\n"), TERM: "dumb" },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if (stderr !== "") throw new Error(`${command[0]} said: ${stderr}`);
  return stdout;
}
