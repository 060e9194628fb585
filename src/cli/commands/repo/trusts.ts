import { WorkloadServiceService as Workloads } from "#gen/pogo/v1/workload.ts";
import { command } from "../../command.ts";
import { nameWidth } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const repoTrusts = command({
  meta: { description: "list whom a repository believes by what others sign" },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { repository } = args;
    const { signal } = context;
    const { trusts } = await connection.channel.unary(
      Workloads.listTrusts,
      { repository },
      { signal },
    );
    context.print(trusts, ({ green }) => {
      const width = nameWidth(trusts);
      const lines = trusts.map(({ name, issuer, subject, audience, scope, readsSecrets }) => {
        const may = readsSecrets ? `${scope}, secrets` : scope;
        return `${green(name.padEnd(width))}  ${may}: ${subject}, of ${issuer}, for ${audience}`;
      });
      return lines.join("\n");
    });
  },
});
