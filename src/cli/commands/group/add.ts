import { GroupServiceService as Groups, type Group } from "#gen/pogo/v1/group.ts";
import { command } from "../../command.ts";
import { groupJson } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const groupAdd = command({
  meta: { description: "put users into a group", examples: ["pogo group add artists ann bob"] },
  args: {
    group: { type: "positional", required: true, description: "the group" },
    ...serverArgs,
  },
  rest: { valueHint: "USER", description: "who", required: true },
  async run({ args, rest, context }) {
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    let group: Group | undefined;
    for (const user of rest) {
      const request = { group: args.group, user };
      ({ group } = await connection.channel.unary(Groups.addGroupMember, request, { signal }));
    }
    context.report(groupJson(group), ({ green }) => {
      return `in ${green(args.group)} now: ${group?.members.join(", ") ?? ""}`;
    });
  },
});
