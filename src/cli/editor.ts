/** Asks for a text in the user's editor. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Workspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import type { Context } from "./context.ts";

/** Opens the editor on a text and returns it as it was saved, without trailing blank lines. */
export async function editText(
  context: Context,
  workspace: Workspace,
  text: string,
): Promise<string> {
  const { VISUAL, EDITOR } = context.environment;
  const editor = VISUAL || EDITOR || (context.interactive ? "vi" : undefined);
  if (!editor) {
    throw new PogoError("usage", "no description was given", {
      hint: "give it with -m TEXT, or set EDITOR",
    });
  }
  const directory = mkdtempSync(join(workspace.control, "edit-"));
  try {
    const file = join(directory, "description.txt");
    writeFileSync(file, text === "" ? "" : `${text}\n`);
    // As every program that asks $EDITOR does: it may be a command with options.
    const child = Bun.spawn(["/bin/sh", "-c", `${editor} "$1"`, "editor", file], {
      stdio: ["inherit", "inherit", "inherit"],
    });
    if ((await child.exited) !== 0) {
      throw new PogoError("usage", `the editor failed: ${editor}`, {
        hint: "give the description with -m TEXT, or set EDITOR to another one",
      });
    }
    return readFileSync(file, "utf8").trimEnd();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
