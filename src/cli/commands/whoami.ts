import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { command } from "../command.ts";
import { connectToServer } from "../server-choice.ts";
import { tokenJson } from "../token-view.ts";

const places = { environment: "POGO_TOKEN", keyring: "the keyring", file: "a file" };

export const whoami = command({
  meta: { description: "say whose token a server gets, and where it comes from" },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
  },
  async run({ args, context }) {
    using connection = await connectToServer(context, args.server);
    const { channel, server, source } = connection;
    const { name, token } = await channel.unary(Auth.getUser, {}, { signal: context.signal });
    const value = { user: name, server, source, token: token ? tokenJson(token) : null };
    context.print(value, ({ bold }) => {
      const place = source ? ` from ${places[source]}` : "";
      return `${bold(name)} on ${server}, by the token "${token?.name ?? ""}"${place}`;
    });
  },
});
