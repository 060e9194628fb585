import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { command } from "../../command.ts";
import { nameWidth } from "../../member-view.ts";
import { secretJson } from "../../secret-view.ts";
import { openNamedRepository, repositoryArgs } from "../../server-choice.ts";
import { dayText } from "../../token-view.ts";

export const secretList = command({
  meta: { description: "list the secrets of a repository, without what they are" },
  args: repositoryArgs,
  async run({ args, context }) {
    using opened = await openNamedRepository(context, args);
    const { channel, repository } = opened;
    const { signal } = context;
    const { secrets } = await channel.unary(Secrets.listSecrets, { repository }, { signal });
    context.print(secrets.map(secretJson), ({ green }) => {
      const width = nameWidth(secrets);
      const lines = secrets.map(({ name, setBy, setAt }) => {
        return `${green(name.padEnd(width))}  set ${dayText(setAt, "")} by ${setBy}`;
      });
      return lines.join("\n");
    });
  },
});
