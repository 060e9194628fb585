import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { command } from "../../command.ts";
import { openNamedRepository, repositoryArgs } from "../../server-choice.ts";

export const secretGet = command({
  meta: {
    description:
      "print a secret as it is; for who administers the repository, and tokens made with --secrets",
    examples: ['DEPLOY_TOKEN="$(pogo secret get DEPLOY_TOKEN)" ./deploy'],
  },
  args: {
    name: { type: "positional", required: true, description: "its name" },
    ...repositoryArgs,
  },
  async run({ args, context }) {
    const { name } = args;
    using opened = await openNamedRepository(context, args);
    const { channel, repository } = opened;
    const { signal } = context;
    const { value } = await channel.unary(Secrets.getSecret, { repository, name }, { signal });
    if (context.json) context.print({ name, value }, "");
    else await context.write(value);
  },
});
