import {
  RepositoryServiceService as Repositories,
  type Repository,
} from "#gen/pogo/v1/repository.ts";
import { command } from "../../command.ts";
import { nameWidth } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const repoList = command({
  meta: { description: "list the repositories of a server that you may read" },
  args: serverArgs,
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { channel } = connection;
    const { signal } = context;
    const repositories: Repository[] = [];
    for (let more = true; more;) {
      const after = repositories.at(-1)?.name ?? "";
      const page = await channel.unary(Repositories.listRepositories, { after }, { signal });
      repositories.push(...page.repositories);
      more = page.more && page.repositories.length > 0;
    }
    const values = repositories.map(({ name, public: isPublic, role, createdAt }) => {
      const created = new Date(createdAt).toISOString();
      return { name, public: isPublic, role: role || null, createdAt: created };
    });
    context.print(values, ({ green }) => {
      const width = nameWidth(values);
      const lines = values.map(({ name, public: isPublic, role }) => {
        return `${green(name.padEnd(width))}  ${isPublic ? "public " : "private"}  ${role ?? ""}`;
      });
      return lines.map((line) => line.trimEnd()).join("\n");
    });
  },
});
