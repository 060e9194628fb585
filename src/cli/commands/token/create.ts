import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { wholeNumber } from "../../arguments.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { dayText, tokenJson } from "../../token-view.ts";

const dayMs = 24 * 60 * 60 * 1000;
const daysMax = 3650;

export const tokenCreate = command({
  meta: {
    description: "create a token and print it, this once",
    examples: ["pogo token create laptop", "pogo token create ci --user ci-bot --days 90"],
  },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "its name" },
    days: {
      type: "string",
      valueHint: "N",
      description: "it expires after N days (default: never)",
    },
    user: {
      type: "string",
      valueHint: "USER",
      description: "for another user; root may, no other",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const days = args.days === undefined ? 0 : wholeNumber(args.days, "--days", 1, daysMax);
    using connection = await connectToServer(context, args.server);
    const { token, secret } = await connection.channel.unary(
      Auth.createToken,
      { name: args.name, expiresAt: days && Date.now() + days * dayMs, user: args.user ?? "" },
      { signal: context.signal },
    );
    const view = token ? tokenJson(token) : {};
    context.print({ ...view, token: secret }, secret);
    const end = dayText(token?.expiresAt ?? 0, "it is revoked");
    context.note(`this is the only time that it is shown; it is good until ${end}`);
  },
});
