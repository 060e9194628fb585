import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { dayText, tokenJson } from "../../token-view.ts";

export const tokenList = command({
  meta: { description: "list your tokens on a server, without their text" },
  args: serverArgs,
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { signal } = context;
    const { tokens } = await connection.channel.unary(Auth.listTokens, {}, { signal });
    context.print(tokens.map(tokenJson), ({ green }) => {
      const width = Math.max(0, ...tokens.map(({ name }) => name.length));
      const lines = tokens.map(({ name, createdAt, lastUsedAt, expiresAt }) => {
        const days = [
          `created ${dayText(createdAt, "")}`,
          `used ${dayText(lastUsedAt, "never")}`,
          `expires ${dayText(expiresAt, "never")}`,
        ];
        return `${green(name.padEnd(width))}  ${days.join(", ")}`;
      });
      return lines.join("\n");
    });
  },
});
