import { conflictFiles, conflictText } from "#client/conflict-text.ts";
import { readContents, readWholeContents } from "#client/contents.ts";
import { serverRevision } from "#client/revision.ts";
import { openWorkingFile, readLink } from "#client/working-copy/read.ts";
import type { Workspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import { diffBytesMax } from "#core/limits.ts";
import { decodeTree } from "#core/tree.ts";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { openSession } from "../session.ts";
import { repositoryPath } from "../working-copy.ts";

export const cat = command({
  meta: {
    description: "print a file as it is in a change",
    examples: ["pogo cat @- README.md", "pogo cat v1.2.0 src/main.ts"],
  },
  args: {
    revision: { type: "positional", required: true, valueHint: "REV", description: "the change" },
    path: { type: "positional", required: true, description: "the file" },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const { workspace, remote } = session;
    const path = repositoryPath(workspace, context.cwd, args.path);
    const revision = serverRevision(session.current, args.revision);
    if (revision === undefined) return await printWorkingFile(context, workspace, path);
    const { entry } = await remote.getEntry(revision, path);
    const found = entry?.$case === "entryTree" ? decodeTree(entry.value)[0] : undefined;
    if (!found || found.kind === "directory") throw isDirectory(path);
    if (found.kind === "symlink") return await printContents(context, [Buffer.from(found.target)]);
    if (found.kind === "conflict") {
      const contents = await readWholeContents(remote, conflictFiles(found), diffBytesMax);
      return await printContents(context, [conflictText(found, contents)]);
    }
    await printContents(context, readContents(session.cached, found.hash));
  },
});

// A draft's files are those of the working copy.
async function printWorkingFile(
  context: Context,
  workspace: Workspace,
  path: string,
): Promise<void> {
  const stat = lstatSync(join(workspace.root, path), { throwIfNoEntry: false });
  if (!stat) {
    throw new PogoError("not-found", `${JSON.stringify(path)} is not in the working copy`);
  }
  if (stat.isDirectory()) throw isDirectory(path);
  if (stat.isSymbolicLink()) {
    return await printContents(context, [Buffer.from(readLink(workspace.root, path) ?? "")]);
  }
  using file = openWorkingFile(workspace.root, path);
  await printContents(context, file.pieces());
}

async function printContents(
  context: Context,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  if (!context.json) {
    for await (const piece of pieces) await context.write(piece);
    return;
  }
  // One JSON value: the whole file in base64, which loses no byte.
  const bytes = Buffer.concat(await Array.fromAsync(pieces));
  context.print({ size: bytes.length, base64: bytes.toString("base64") }, "");
}

function isDirectory(path: string): PogoError {
  const name = path === "" ? "." : path;
  return new PogoError("usage", `${JSON.stringify(name)} is a directory`, {
    hint: `pogo ls REV ${name}`,
  });
}
