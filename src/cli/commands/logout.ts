import { forgetToken } from "#client/credentials.ts";
import { PogoError } from "#core/errors.ts";
import { command } from "../command.ts";
import { chooseServer } from "../server-choice.ts";

export const logout = command({
  meta: { description: "forget the token for a server; the server goes on accepting it" },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
  },
  async run({ args, context }) {
    const server = chooseServer(context, args.server);
    if (!(await forgetToken(context.environment, server))) {
      throw new PogoError("not-found", `you are not logged in to ${server}`, {
        hint: context.environment["POGO_TOKEN"] ? "unset POGO_TOKEN" : undefined,
      });
    }
    context.report({ server }, `logged out of ${server}`);
  },
});
