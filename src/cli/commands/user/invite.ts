import { dayMs, inviteMsMax } from "#core/limits.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { wholeNumber } from "../../arguments.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { dayText } from "../../token-view.ts";

const daysDefault = 7;
const daysMax = inviteMsMax / dayMs;

export const userInvite = command({
  meta: {
    description: "make an invite, which is good once, and print it; the user is created by it",
    examples: ["pogo user invite ann", "pogo user invite ann --days 1"],
  },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "the user" },
    days: {
      type: "string",
      valueHint: "N",
      description: `it is good for N days (${daysDefault})`,
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { days: text, name: user } = args;
    const days = text === undefined ? daysDefault : wholeNumber(text, "--days", 1, daysMax);
    using connection = await connectToServer(context, args.server);
    // The server's clock may be a little behind.
    const expiresAt = Date.now() + days * dayMs - 60_000;
    const request = { user, expiresAt };
    const { signal } = context;
    const { invite } = await connection.channel.unary(Users.createInvite, request, { signal });
    const value = { user, invite, expiresAt: new Date(expiresAt).toISOString() };
    context.print(value, invite);
    const url = connection.server;
    context.note(`good once, until ${dayText(expiresAt, "")}: pogo login ${url} --invite`);
  },
});
