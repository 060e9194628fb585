import { readDirectory } from "#client/compare.ts";
import { serverRevision } from "#client/revision.ts";
import { listWorkingCopy, type ListedEntry } from "#client/working-copy/list.ts";
import type { Workspace } from "#client/workspace.ts";
import { toHex } from "#core/hash.ts";
import { decodeTree, type Entry } from "#core/tree.ts";
import { PogoError } from "#core/errors.ts";
import type { Remote } from "#client/remote.ts";
import { command } from "../command.ts";
import { quoteName, type Style } from "../output.ts";
import { openSession } from "../session.ts";
import { repositoryPath } from "../working-copy.ts";

type Listed = {
  name: string;
  kind: Entry["kind"];
  executable?: boolean;
  size?: number;
  object?: string;
  target?: string;
};

export const ls = command({
  meta: {
    description: "list a directory as it is in a change",
    examples: ["pogo ls", "pogo ls main src"],
  },
  args: {
    revision: {
      type: "positional",
      required: false,
      valueHint: "REV",
      description: "the change (@)",
    },
    path: { type: "positional", required: false, description: "the directory (the root)" },
  },
  async run({ args, context }) {
    await using session = await openSession(context);
    const path = args.path ? repositoryPath(session.workspace, context.cwd, args.path) : "";
    const revision = serverRevision(session.current, args.revision ?? "@");
    const listed =
      revision === undefined
        ? listDraft(session.workspace, path)
        : (await listPublished(session.remote, revision, path)).map(toListed);
    context.print(listed, (style) => listed.map((entry) => formatEntry(entry, style)).join("\n"));
  },
});

async function listPublished(remote: Remote, revision: string, path: string): Promise<Entry[]> {
  const { entry } = await remote.getEntry(revision, path);
  if (entry?.$case === "rootTree") return await readDirectory(remote, entry.value);
  const found = entry ? decodeTree(entry.value) : [];
  const directory = found[0]?.kind === "directory" ? found[0] : undefined;
  return directory ? await readDirectory(remote, directory.hash) : found;
}

function listDraft(workspace: Workspace, path: string): Listed[] {
  const entries = listWorkingCopy(workspace, path);
  if (entries.length > 0 || path === "") return entries.map(toListed);
  throw new PogoError("not-found", `${JSON.stringify(path)} is not in the working copy`, {
    hint: "see what is: pogo ls",
  });
}

function toListed(entry: ListedEntry): Listed {
  const { name, kind } = entry;
  if (entry.kind === "symlink") return { name, kind, target: entry.target };
  if (entry.kind !== "file") return { name, kind };
  const { executable, size, hash } = entry;
  // What changed has not been hashed yet.
  return { name, kind, executable, size, ...(hash && { object: toHex(hash) }) };
}

function formatEntry({ name, kind, executable }: Listed, style: Style): string {
  const quoted = quoteName(name);
  if (kind === "directory") return `${style.blue(quoted)}/`;
  if (kind === "symlink") return `${style.cyan(quoted)}@`;
  if (kind === "conflict") return `${style.red(quoted)}!`;
  return executable ? `${style.green(quoted)}*` : quoted;
}
