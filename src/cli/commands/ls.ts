import { readDirectory } from "#client/compare.ts";
import { serverRevision } from "#client/revision.ts";
import { scan } from "#client/working-copy/scan.ts";
import { toHex } from "#core/hash.ts";
import { compareNames, decodeTree, type Entry } from "#core/tree.ts";
import { PogoError } from "#core/errors.ts";
import type { Remote } from "#client/remote.ts";
import { command } from "../command.ts";
import { quoteName, type Style } from "../output.ts";
import { openSession, repositoryPath, type Session } from "../session.ts";

type Listed = { name: string; kind: Entry["kind"]; executable?: boolean; size?: number };

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
        ? await listDraft(session, path)
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

/** A draft is its base with what differs in the working copy. */
async function listDraft({ workspace, remote, current }: Session, path: string): Promise<Listed[]> {
  const entries = new Map<string, Listed>();
  const parent = current.parents[0];
  const prefix = path === "" ? "" : `${path}/`;
  if (parent) {
    try {
      const base = await listPublished(remote, `${parent.change}@${parent.version}`, path);
      for (const entry of base) entries.set(entry.name, toListed(entry));
    } catch (error) {
      if (!(error instanceof PogoError && error.code === "not-found")) throw error;
    }
  }
  const { differences } = scan(workspace);
  for (const { path: changed, after } of differences) {
    if (!changed.startsWith(prefix)) continue;
    const [name = "", ...below] = changed.slice(prefix.length).split("/");
    if (below.length > 0) {
      if (after && !entries.has(name)) entries.set(name, { name, kind: "directory" });
    } else if (after?.kind === "file") {
      const { executable, size } = after;
      entries.set(name, { name, kind: "file", executable, size });
    } else if (after) {
      entries.set(name, { name, kind: "symlink" });
    } else {
      entries.delete(name);
    }
  }
  if (entries.size === 0 && path !== "") {
    throw new PogoError("not-found", `${JSON.stringify(path)} is not in the working copy`);
  }
  return [...entries.values()].sort((a, b) => compareNames(a.name, b.name));
}

function toListed(entry: Entry) {
  const { name, kind } = entry;
  if (entry.kind === "file") {
    const { executable, size, hash } = entry;
    return { name, kind, executable, size, object: toHex(hash) };
  }
  if (entry.kind === "symlink") return { name, kind, target: entry.target };
  return { name, kind };
}

function formatEntry({ name, kind, executable }: Listed, style: Style): string {
  const quoted = quoteName(name);
  if (kind === "directory") return `${style.blue(quoted)}/`;
  if (kind === "symlink") return `${style.cyan(quoted)}@`;
  if (kind === "conflict") return `${style.red(quoted)}!`;
  return executable ? `${style.green(quoted)}*` : quoted;
}
