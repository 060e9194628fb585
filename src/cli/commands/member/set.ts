import { checkRole } from "#core/role.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";

export const memberSet = command({
  meta: {
    description: "give a user or a group a role in a repository",
    examples: ["pogo member set game ann write", "pogo member set game artists read --group"],
  },
  args: {
    repository: { type: "positional", required: true, description: "the repository" },
    name: { type: "positional", required: true, valueHint: "USER", description: "who" },
    role: {
      type: "positional",
      required: true,
      description: "read; write; maintain, to make rules for bookmarks and keep secrets; or admin",
    },
    group: { type: "boolean", description: "USER is the name of a group" },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { repository, name } = args;
    const role = checkRole(args.role);
    using connection = await connectToServer(context, args.server);
    const member = { name, group: args.group === true, role };
    const { previousRole } = await connection.channel.unary(
      Members.setMember,
      { repository, member },
      { signal: context.signal },
    );
    const value = { repository, name, kind: member.group ? "group" : "user", role };
    context.report({ ...value, previousRole: previousRole || null }, ({ green }) => {
      if (previousRole === role) return `${green(name)} has the role ${role} already`;
      const before = previousRole ? `, had ${previousRole}` : "";
      return `${green(name)} has the role ${role} in ${repository} now${before}`;
    });
  },
});
