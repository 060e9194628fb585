import { resolve } from "node:path";

import { newDraft } from "#client/change.ts";
import { checkEmpty, clone as makeClone, resumeClone } from "#client/clone.ts";
import type { Remote } from "#client/remote.ts";
import type { Binding } from "#client/state.ts";
import type { Workspace } from "#client/workspace.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { checkRepositoryName } from "#core/name.ts";
import { changeLine, count } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { connect } from "../session.ts";

export const clone = command({
  meta: {
    description: "make a working copy, with a new change on top of main",
    examples: [
      "pogo clone http://localhost:7646/game",
      "pogo clone https://pogo.example/game -r v1.2.0",
    ],
  },
  args: {
    repository: { type: "positional", required: true, valueHint: "URL/NAME", description: "which" },
    directory: {
      type: "positional",
      required: false,
      valueHint: "DIR",
      description: "where (NAME)",
    },
    revision: {
      type: "string",
      alias: "r",
      valueHint: "REV",
      description: "on top of this (main)",
    },
  },
  async run({ args, context }) {
    const { server, name } = splitAddress(args.repository);
    const root = resolve(context.cwd, args.directory ?? name);
    using connection = await connect(context, server, name);
    const { remote } = connection;
    const repository = await remote.getRepository();
    const binding = {
      server: connection.server,
      repository: repository.name,
      caseSensitive: repository.caseSensitive,
    };
    const { workspace, change, resumed } = await fill(context, remote, root, {
      binding,
      revision: args.revision ?? "",
    });
    using _ = workspace;
    const { current } = workspace.state;
    const value = {
      repository: repository.name,
      server: connection.server,
      root: workspace.root,
      change: current.name,
      parents: current.parents.map((parent) => parent.change),
      resumed,
    };
    context.report(value, (style) => {
      if (resumed) return `finished the interrupted clone in ${workspace.root}`;
      if (!change) return `cloned ${name} into ${workspace.root}: it has no change yet`;
      const files = count(change.fileCount, "file");
      return `cloned ${name} into ${workspace.root}: ${files}, on top of ${changeLine(change, style)}`;
    });
  },
});

/** Makes the working copy, or finishes one, showing how it goes. */
async function fill(
  context: Context,
  remote: Remote,
  root: string,
  { binding, revision }: { binding: Binding; revision: string },
): Promise<{ workspace: Workspace; change: Change | undefined; resumed: boolean }> {
  using line = context.progress("cloning");
  const resumed = await resumeClone(remote, root, binding, line);
  if (resumed) return { workspace: resumed, change: undefined, resumed: true };
  checkEmpty(root);
  const change = await startingChange(remote, revision);
  line.total({ files: change?.fileCount ?? 0, bytes: change?.byteCount ?? 0 });
  const draft = newDraft(change ? [change] : []);
  const workspace = await makeClone(remote, root, binding, draft, line);
  return { workspace, change, resumed: false };
}

/** The change to start from; nothing in an empty repository. */
async function startingChange(remote: Remote, revision: string): Promise<Change | undefined> {
  try {
    return await remote.getChange(revision);
  } catch (error) {
    if (revision === "" && isPogoError(error, "not-found")) return undefined;
    throw error;
  }
}

function splitAddress(text: string): { server: string; name: string } {
  const match = /^(https?:\/\/.+?)\/([^/]+)\/?$/.exec(text);
  if (!match) {
    throw new PogoError("usage", `${JSON.stringify(text)} is not the address of a repository`, {
      hint: "write it as https://HOST/NAME or http://localhost:PORT/NAME",
    });
  }
  const [, server = "", name = ""] = match;
  checkRepositoryName(name);
  return { server, name };
}
