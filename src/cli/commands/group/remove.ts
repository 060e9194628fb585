import { GroupServiceService as Groups, type Group } from "#gen/pogo/v1/group.ts";
import { command } from "../../command.ts";
import { groupJson } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const groupRemove = command({
  meta: { description: "take users out of a group" },
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
      ({ group } = await connection.channel.unary(Groups.removeGroupMember, request, { signal }));
    }
    context.report(groupJson(group), ({ green }) => {
      return `in ${green(args.group)} now: ${group?.members.join(", ") || "nobody"}`;
    });
  },
});
