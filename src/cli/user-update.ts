/** Commands that change one thing about a user. */
import { UserServiceService as Users, type UpdateUserRequest } from "#gen/pogo/v1/user.ts";
import { command, type Command } from "./command.ts";
import { userJson } from "./member-view.ts";
import { connectToServer, serverArgs } from "./server-choice.ts";

/** Makes such a command; `done` is what it says in the end. */
export function userUpdate(
  description: string,
  change: Partial<UpdateUserRequest>,
  done: string,
): Command {
  return command({
    meta: { description },
    args: {
      name: { type: "positional", required: true, valueHint: "NAME", description: "the user" },
      ...serverArgs,
    },
    async run({ args, context }) {
      using connection = await connectToServer(context, args.server);
      const request = { name: args.name, ...change };
      const { signal } = context;
      const { user } = await connection.channel.unary(Users.updateUser, request, { signal });
      context.report(userJson(user), ({ green }) => `${green(args.name)} ${done}`);
    },
  });
}
