import { GroupServiceService as Groups, type Group } from "#gen/pogo/v1/group.ts";
import { command } from "../../command.ts";
import { groupJson, nameWidth } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const groupList = command({
  meta: { description: "list the groups of a server and who is in them" },
  args: serverArgs,
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    const groups: Group[] = [];
    for (let more = true; more;) {
      const after = groups.at(-1)?.name ?? "";
      const page = await connection.channel.unary(Groups.listGroups, { after }, { signal });
      groups.push(...page.groups);
      more = page.more && page.groups.length > 0;
    }
    context.print(groups.map(groupJson), ({ green }) => {
      const width = nameWidth(groups);
      const lines = groups.map(({ name, members }) => {
        return `${green(name.padEnd(width))}  ${members.join(", ")}`.trimEnd();
      });
      return lines.join("\n");
    });
  },
});
