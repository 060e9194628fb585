import { resolve } from "node:path";

import { newDraft } from "#client/change.ts";
import { createWorkspace, findRoot } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import { checkRepositoryName } from "#core/name.ts";
import { command } from "../command.ts";
import { chooseServer } from "../server-choice.ts";
import { connect } from "../session.ts";

export const init = command({
  meta: {
    description: "create an empty repository and bind a directory to it; nothing is uploaded",
    examples: ["pogo init --server http://localhost:7646 --name game"],
  },
  args: {
    directory: { type: "positional", required: false, valueHint: "DIR", description: "here (.)" },
    server: { type: "string", valueHint: "URL", description: "the server (that you logged in to)" },
    name: { type: "string", required: true, description: "the repository's name" },
    public: { type: "boolean", description: "anyone may read it" },
    caseSensitive: { type: "boolean", description: "allow names that differ in case alone" },
  },
  async run({ args, context }) {
    checkRepositoryName(args.name);
    const directory = resolve(context.cwd, args.directory ?? ".");
    if (findRoot(directory) === directory) {
      throw new PogoError("already-exists", `${directory} is a working copy already`, {
        hint: "pogo info says of which repository",
      });
    }
    using connection = await connect(context, chooseServer(context, args.server), args.name);
    const repository = await connection.remote.createRepository({
      public: args.public === true,
      caseSensitive: args.caseSensitive === true,
    });
    const binding = {
      server: connection.server,
      repository: repository.name,
      caseSensitive: repository.caseSensitive,
    };
    using workspace = createWorkspace(directory, binding, newDraft([]));
    const value = {
      repository: repository.name,
      server: connection.server,
      public: repository.public,
      root: workspace.root,
    };
    context.report(value, () => {
      return `created ${repository.name} on ${connection.server}; publish this directory with: pogo push -m TEXT`;
    });
  },
});
