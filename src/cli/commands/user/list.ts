import { UserServiceService as Users, type User } from "#gen/pogo/v1/user.ts";
import { command } from "../../command.ts";
import { nameWidth, userJson } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const userList = command({
  meta: { description: "list the users of a server" },
  args: serverArgs,
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    const users: User[] = [];
    for (let more = true; more;) {
      const after = users.at(-1)?.name ?? "";
      const page = await connection.channel.unary(Users.listUsers, { after }, { signal });
      users.push(...page.users);
      more = page.more && page.users.length > 0;
    }
    context.print(users.map(userJson), ({ green, dim }) => {
      const width = nameWidth(users);
      const lines = users.map(({ name, admin, disabled }) => {
        const what = [admin && "administers the server", disabled && "disabled"];
        return `${green(name.padEnd(width))}  ${dim(what.filter(Boolean).join(", "))}`.trimEnd();
      });
      return lines.join("\n");
    });
  },
});
