import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const tokenRevoke = command({
  meta: { description: "make one of your tokens useless, at once" },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "its name" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { name } = args;
    await connection.channel.unary(Auth.revokeToken, { name }, { signal: context.signal });
    context.report({ name }, `revoked ${name}`);
  },
});
