import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { dayText, limitText, tokenJson } from "../../token-view.ts";

export const tokenList = command({
  meta: { description: "list your tokens on a server, without their text" },
  args: {
    deploy: { type: "string", valueHint: "REPO", description: "REPO's deploy tokens instead" },
    ...serverArgs,
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { channel } = connection;
    const { signal } = context;
    const { deploy: repository } = args;
    const { tokens } =
      repository === undefined
        ? await channel.unary(Auth.listTokens, {}, { signal })
        : await channel.unary(Members.listDeployTokens, { repository }, { signal });
    context.print(tokens.map(tokenJson), ({ green }) => {
      const width = Math.max(0, ...tokens.map(({ name }) => name.length));
      const lines = tokens.map((token) => {
        const { name, createdAt, lastUsedAt, expiresAt } = token;
        const days = [
          `created ${dayText(createdAt, "")}`,
          `used ${dayText(lastUsedAt, "never")}`,
          `expires ${dayText(expiresAt, "never")}`,
          limitText(token),
        ];
        return `${green(name.padEnd(width))}  ${days.filter(Boolean).join(", ")}`;
      });
      return lines.join("\n");
    });
  },
});
