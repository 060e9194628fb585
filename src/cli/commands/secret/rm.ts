import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { command } from "../../command.ts";
import { secretJson } from "../../secret-view.ts";
import { openNamedRepository, repositoryArgs } from "../../server-choice.ts";

export const secretRemove = command({
  meta: { description: "forget a secret, for good" },
  args: {
    name: { type: "positional", required: true, description: "its name" },
    ...repositoryArgs,
  },
  async run({ args, context }) {
    const { name } = args;
    using opened = await openNamedRepository(context, args);
    const { channel, repository } = opened;
    const { signal } = context;
    const { secret } = await channel.unary(Secrets.removeSecret, { repository, name }, { signal });
    context.report(secretJson(secret), ({ green }) => `removed ${green(name)} of ${repository}`);
  },
});
