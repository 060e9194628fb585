import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const memberRemove = command({
  meta: { description: "take a user's or a group's role in a repository away" },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    name: { type: "positional", required: true, valueHint: "USER", description: "who" },
    group: { type: "boolean", description: "USER is the name of a group" },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { repository, name } = args;
    const group = args.group === true;
    using connection = await connectToServer(context, args.server);
    const { previousRole } = await connection.channel.unary(
      Members.removeMember,
      { repository, name, group },
      { signal: context.signal },
    );
    const value = { repository, name, kind: group ? "group" : "user", previousRole };
    context.report(value, ({ green }) => {
      return `${green(name)} has no role in ${repository} any more, had ${previousRole}`;
    });
  },
});
