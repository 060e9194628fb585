import { PogoError } from "#core/errors.ts";
import { dayMs, tokenDaysMax } from "#core/limits.ts";
import { checkScope, type Scope } from "#core/role.ts";
import { AuthServiceService as Auth, type CreateTokenResponse } from "#gen/pogo/v1/auth.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import type { Channel } from "#rpc/channel.ts";
import { wholeNumber } from "../../arguments.ts";
import { command } from "../../command.ts";
import { connectToServer, serverArgs } from "../../server-choice.ts";
import { dayText, limitText, tokenJson } from "../../token-view.ts";

export const tokenCreate = command({
  meta: {
    description: "create a token and print it, this once",
    examples: [
      "pogo token create laptop",
      "pogo token create ci --deploy game --scope write --days 90",
    ],
  },
  args: {
    name: { type: "positional", required: true, valueHint: "NAME", description: "its name" },
    days: {
      type: "string",
      valueHint: "N",
      description: "it expires after N days (default: never)",
    },
    scope: { type: "string", description: "it may read, write, or all that you may (admin)" },
    repository: { type: "string", valueHint: "REPO", description: "it is good for REPO only" },
    deploy: {
      type: "string",
      valueHint: "REPO",
      description: "it is REPO's and nobody's, to read or write it: for what builds and deploys",
    },
    secrets: {
      type: "boolean",
      description: "with --deploy: it may read the secrets of REPO, too",
    },
    user: {
      type: "string",
      valueHint: "USER",
      description: "for another user; who administers the server may",
    },
    ...serverArgs,
  },
  async run({ args, context }) {
    const { name, deploy, repository, user } = args;
    if (deploy !== undefined && (repository !== undefined || user !== undefined)) {
      throw new PogoError("usage", "a deploy token has no user and no other repository");
    }
    const readsSecrets = args.secrets === true;
    if (readsSecrets && deploy === undefined) {
      throw new PogoError("usage", "only a deploy token is made to read secrets", {
        hint: "pogo token create NAME --deploy REPO --secrets",
      });
    }
    const days = args.days === undefined ? 0 : wholeNumber(args.days, "--days", 1, tokenDaysMax);
    const scope = checkScope(args.scope ?? (deploy === undefined ? "admin" : "read"));
    const wanted: Wanted = {
      name,
      scope,
      expiresAt: days && Date.now() + days * dayMs,
      deploy,
      readsSecrets,
      repository,
      user: user ?? "",
    };
    using connection = await connectToServer(context, args.server);
    const { token, secret } = await create(connection.channel, wanted, context.signal);
    const view = token ? tokenJson(token) : {};
    context.print({ ...view, token: secret }, secret);
    const end = dayText(token?.expiresAt ?? 0, "it is revoked");
    const limits = token && limitText(token);
    context.note(
      `this is the only time that it is shown; it is good until ${end}${limits && `; ${limits}`}`,
    );
  },
});

type Wanted = {
  name: string;
  scope: Scope;
  expiresAt: number;
  deploy: string | undefined;
  readsSecrets: boolean;
  repository: string | undefined;
  user: string;
};

async function create(
  channel: Channel,
  { deploy, readsSecrets, ...wanted }: Wanted,
  signal: AbortSignal,
): Promise<CreateTokenResponse> {
  if (deploy === undefined) return await channel.unary(Auth.createToken, wanted, { signal });
  const { name, scope, expiresAt } = wanted;
  const request = { repository: deploy, name, scope, expiresAt, readsSecrets };
  return await channel.unary(Members.createDeployToken, request, { signal });
}
