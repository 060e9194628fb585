import { WorkloadServiceService as Workloads } from "#gen/pogo/v1/workload.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const repoTrust = command({
  meta: {
    description:
      "believe programs by a token of the place that they run in, such as a build service",
    examples: [
      "pogo repo trust game ci --issuer https://token.actions.githubusercontent.com " +
        '--subject "repo:acme/game:*" --scope write',
    ],
  },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    name: { type: "positional", required: true, description: "they act as NAME@REPOSITORY" },
    issuer: {
      type: "string",
      required: true,
      valueHint: "URL",
      description: "who signs their tokens",
    },
    subject: {
      type: "string",
      required: true,
      description: 'whom the tokens are about; "*" is any text',
    },
    audience: {
      type: "string",
      description: "for whom the tokens are (the server's URL)",
    },
    scope: {
      type: "enum",
      options: ["read", "write"],
      description: "what they may do (read)",
    },
    secrets: { type: "boolean", description: "they may read the repository's secrets, too" },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { repository, name, issuer, subject } = args;
    using connection = await connectToServer(context, args.server);
    const audience = args.audience ?? connection.server;
    const readsSecrets = args.secrets === true;
    const scope = args.scope ?? "read";
    const trust = { name, issuer, subject, audience, scope, readsSecrets };
    const { signal } = context;
    await connection.channel.unary(Workloads.setTrust, { repository, trust }, { signal });
    context.report({ repository, ...trust }, ({ green }) => {
      return `${repository} trusts ${green(name)}: ${subject}, of ${issuer}, for ${audience}`;
    });
  },
});
