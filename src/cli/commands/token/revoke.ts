import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const tokenRevoke = command({
  meta: { description: "make one of your tokens useless, or a repository's, at once" },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "its name" },
    deploy: { type: "string", valueHint: "REPO", description: "one of REPO's deploy tokens" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { channel } = connection;
    const { name, deploy: repository } = args;
    const { signal } = context;
    if (repository === undefined) await channel.unary(Auth.revokeToken, { name }, { signal });
    else await channel.unary(Members.revokeDeployToken, { repository, name }, { signal });
    context.report({ name }, `revoked ${name}`);
  },
});
