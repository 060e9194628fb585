import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { command } from "../../command.ts";
import { userJson } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const userCreate = command({
  meta: {
    description: "create a user, who has no token yet",
    examples: ["pogo user create ann", "pogo user create bob --admin"],
  },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "the user" },
    admin: { type: "boolean", description: "who administers the server" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { name } = args;
    const request = { name, admin: args.admin === true };
    const { signal } = context;
    const { user } = await connection.channel.unary(Users.createUser, request, { signal });
    context.report(userJson(user), ({ green }) => `created ${green(name)}`);
    context.note(`to let ${name} in: pogo user invite ${name}`);
  },
});
