import { WorkloadServiceService as Workloads } from "#gen/pogo/v1/workload.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const repoUntrust = command({
  meta: { description: "believe such programs no more, at once" },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    name: { type: "positional", required: true, description: "the trust's name" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { repository, name } = args;
    const { signal } = context;
    await connection.channel.unary(Workloads.removeTrust, { repository, name }, { signal });
    context.report({ repository, name }, `${repository} trusts ${name} no more`);
  },
});
