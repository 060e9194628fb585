/** Programs that merge texts, as $POGO_MERGE_TOOL or --tool name them. */
import type { MergeFiles } from "#client/text-merge.ts";
import { PogoError } from "#core/errors.ts";
import type { Context } from "./context.ts";

export type MergeTool = {
  /** What it is called in messages. */
  name: string;
  /** A line for the shell; it finds the files in variables, as `git mergetool` has them. */
  line: string;
  needsTerminal: boolean;
};

const lines: Record<string, string> = {
  vimdiff: `vim -f -d -c '4wincmd w | wincmd J' "$LOCAL" "$BASE" "$REMOTE" "$MERGED"`,
  nvimdiff: `nvim -f -d -c '4wincmd w | wincmd J' "$LOCAL" "$BASE" "$REMOTE" "$MERGED"`,
  gvimdiff: `gvim -f -d -c '4wincmd w | wincmd J' "$LOCAL" "$BASE" "$REMOTE" "$MERGED"`,
  vscode: `code --wait --merge "$REMOTE" "$LOCAL" "$BASE" "$MERGED"`,
  meld: `meld --output="$MERGED" "$LOCAL" "$BASE" "$REMOTE"`,
  kdiff3: `kdiff3 -o "$MERGED" "$BASE" "$LOCAL" "$REMOTE"`,
  smerge: `smerge mergetool "$BASE" "$LOCAL" "$REMOTE" -o "$MERGED"`,
  bc: `bcompare "$LOCAL" "$REMOTE" "$BASE" -mergeoutput="$MERGED"`,
  p4merge: `p4merge "$BASE" "$REMOTE" "$LOCAL" "$MERGED"`,
  // It returns at once, but for what it writes to.
  opendiff: `opendiff "$LOCAL" "$REMOTE" -ancestor "$BASE" -merge "$MERGED" | cat`,
  idea: `idea merge "$LOCAL" "$REMOTE" "$BASE" "$MERGED"`,
};
const otherNames: Record<string, string> = {
  vim: "vimdiff",
  nvim: "nvimdiff",
  code: "vscode",
  bcompare: "bc",
};
const inTerminal = new Set(["vimdiff", "nvimdiff"]);

// What a shell ends with when there is no such program.
const notFoundCode = 127;

const knownTools = Object.keys(lines);

/** Tells whether a word names a tool. */
export function isKnownTool(word: string): boolean {
  return Object.hasOwn(lines, word) || Object.hasOwn(otherNames, word);
}

/** Finds the tool of a name, or else the one that $POGO_MERGE_TOOL names or is. */
export function findMergeTool({ environment }: Context, named: string | undefined): MergeTool {
  const asked = (named ?? environment["POGO_MERGE_TOOL"] ?? "").trim();
  if (asked === "") {
    throw new PogoError("usage", "no merge tool is set", {
      hint: `name one, pogo resolve --tool vimdiff, or set POGO_MERGE_TOOL: ${knownTools.join(", ")}`,
    });
  }
  const name = Object.hasOwn(otherNames, asked) ? otherNames[asked]! : asked;
  if (Object.hasOwn(lines, name)) {
    return { name, line: lines[name]!, needsTerminal: inTerminal.has(name) };
  }
  if (/\$\{?MERGED\b/.test(asked)) return { name: asked, line: asked, needsTerminal: false };
  throw new PogoError("usage", `there is no merge tool ${JSON.stringify(asked)}`, {
    hint: `say how it is run: 'TOOL "$BASE" "$LOCAL" "$REMOTE" "$MERGED"', or take one of ${knownTools.join(", ")}`,
  });
}

/** Refuses a tool that could only wait for ever. */
export function checkTerminal({ interactive }: Context, { name, needsTerminal }: MergeTool): void {
  if (interactive || !needsTerminal) return;
  throw new PogoError("usage", `${name} needs a terminal`, {
    hint: "run the command at one, or take a side: pogo resolve PATH --side NAME",
  });
}

/** Runs a tool until it ends; unless it says that it succeeded its result does not count. */
export async function runMergeTool(
  context: Context,
  { name, line }: MergeTool,
  files: MergeFiles,
): Promise<void> {
  const { base: BASE, local: LOCAL, remote: REMOTE, merged: MERGED } = files;
  const { signal } = context;
  const child = Bun.spawn(["/bin/sh", "-c", line], {
    env: { ...context.environment, BASE, LOCAL, REMOTE, MERGED },
    // Where nobody can answer nothing is asked; and with --json stdout is for the result alone.
    stdio: [context.interactive ? "inherit" : "ignore", context.json ? 2 : "inherit", "inherit"],
    signal,
  });
  const exitCode = await child.exited;
  signal.throwIfAborted();
  if (exitCode === 0) return;
  if (exitCode === notFoundCode) {
    throw new PogoError("not-found", `the merge tool was not found: ${name}`, {
      hint: `install it, or set POGO_MERGE_TOOL to another one: ${knownTools.join(", ")}`,
    });
  }
  throw new PogoError("conflict", `the merge tool ended with ${exitCode}: ${name}`, {
    hint: "what it left was not taken; go on with pogo resolve --tool, or take a side",
  });
}
