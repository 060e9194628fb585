import { WorkloadServiceService as Workloads } from "#gen/pogo/v1/workload.ts";
import { command } from "../../command.ts";
import { readLineFromStdin } from "../../prompt.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const tokenExchange = command({
  meta: {
    description: "read a token of the place that this runs in, and print one that is good an hour",
    examples: ["POGO_TOKEN=$(pogo token exchange game --server URL < id-token)"],
  },
  args: {
    repository: {
      type: "positional",
      required: true,
      description: "the repository that it is for",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { repository } = args;
    const request = { repository, token: await readLineFromStdin() };
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    const { secret, expiresAt, trust } = await connection.channel.unary(
      Workloads.exchangeToken,
      request,
      { signal },
    );
    const value = { token: secret, expiresAt: new Date(expiresAt).toISOString(), trust };
    context.print(value, secret);
  },
});
