import { PogoError } from "#core/errors.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const repoVisibility = command({
  meta: {
    description: "let anyone read a repository, or only its members",
    examples: ["pogo repo visibility game public"],
  },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    visibility: {
      type: "positional",
      required: true,
      valueHint: "public|private",
      description: "who may read it",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { repository, visibility } = args;
    if (visibility !== "public" && visibility !== "private") {
      throw new PogoError("usage", `a repository is public or private, not "${visibility}"`);
    }
    using connection = await connectToServer(context, args.server);
    await connection.channel.unary(
      Repositories.setVisibility,
      { repository, public: visibility === "public" },
      { signal: context.signal },
    );
    context.report({ repository, public: visibility === "public" }, ({ green }) => {
      const who = visibility === "public" ? "anyone" : "only its members";
      return `${green(repository)} is ${visibility} now: ${who} may read it`;
    });
  },
});
