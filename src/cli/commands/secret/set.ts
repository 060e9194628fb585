import { PogoError } from "#core/errors.ts";
import { checkSecretName, checkSecretValue } from "#core/secret.ts";
import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { command } from "../../command.ts";
import type { Context } from "../../context.ts";
import { askSecret, readTextFromStdin } from "../../prompt.ts";
import { secretJson } from "../../secret-view.ts";
import { openNamedRepository, repositoryArgs } from "../../server-choice.ts";

export const secretSet = command({
  meta: {
    description: "keep a secret, sealed on the server; its value is asked for without being shown",
    isPrivate: true,
    examples: [
      "pogo secret set DEPLOY_TOKEN",
      "pogo secret set SIGNING_KEY --stdin < key.pem",
      "pogo secret set DEPLOY_TOKEN --repository game --server https://pogo.example.com",
    ],
  },
  args: {
    name: { type: "positional", required: true, description: "its name, as of a variable" },
    stdin: { type: "boolean", description: "read the value from stdin: all lines of it" },
    ...repositoryArgs,
  },
  async run({ args, context }) {
    const { name } = args;
    checkSecretName(name);
    using opened = await openNamedRepository(context, args);
    const { channel, repository } = opened;
    const value = await readValue(context, name, args.stdin === true);
    checkSecretValue(value);
    const { signal } = context;
    const request = { repository, name, value };
    const { secret, replaced } = await channel.unary(Secrets.setSecret, request, { signal });
    context.report({ ...secretJson(secret), replaced }, ({ green }) => {
      return `${replaced ? "replaced" : "keeping"} ${green(name)} of ${repository}`;
    });
  },
});

async function readValue(context: Context, name: string, stdin: boolean): Promise<string> {
  if (stdin) return await readTextFromStdin();
  if (context.interactive) return await askSecret(context, `value of ${name}`);
  throw new PogoError("usage", "there is no terminal to ask for the value", {
    hint: `pogo secret set ${name} --stdin`,
  });
}
