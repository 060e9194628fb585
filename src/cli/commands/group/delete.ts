import { GroupServiceService as Groups } from "#gen/pogo/v1/group.ts";
import { command } from "../../command.ts";
import { groupJson } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const groupDelete = command({
  meta: { description: "delete a group, with the roles that it had" },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "the group" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { name } = args;
    const { signal } = context;
    const { group } = await connection.channel.unary(Groups.deleteGroup, { name }, { signal });
    context.report(groupJson(group), ({ green }) => `deleted the group ${green(name)}`);
  },
});
