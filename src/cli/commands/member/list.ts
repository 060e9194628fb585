import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { command } from "../../command.ts";
import { memberJson, nameWidth } from "../../member-view.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const memberList = command({
  meta: { description: "list who has which role in a repository" },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { repository } = args;
    const { signal } = context;
    const { members } = await connection.channel.unary(
      Members.listMembers,
      { repository },
      { signal },
    );
    context.print(members.map(memberJson), ({ green }) => {
      const width = nameWidth(members);
      const lines = members.map(({ name, group, role }) => {
        return `${green(name.padEnd(width))}  ${role}${group ? " (a group)" : ""}`;
      });
      return lines.join("\n");
    });
  },
});
