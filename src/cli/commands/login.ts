import { hostname } from "node:os";

import { checkPlace, checkToken, findToken, saveToken } from "#client/credentials.ts";
import { PogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { openChannel, type ChannelOptions } from "#rpc/channel.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { askSecret, readTokenFromStdin } from "../prompt.ts";
import { chooseServer } from "../server-choice.ts";
import { decideTrust } from "../server-trust.ts";

export const login = command({
  meta: {
    description: "keep the token for a server, once the server has accepted it",
    examples: [
      "pogo login http://localhost:7646",
      "pogo login https://pogo.example.com --token-stdin < token.txt",
      "pogo login https://pogo.example.com --invite",
    ],
  },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
    tokenStdin: { type: "boolean", description: "read the token, or the invite, from stdin" },
    invite: {
      type: "boolean",
      description: "turn an invite into a token, called after this machine",
    },
    store: {
      type: "enum",
      options: ["keyring", "file"],
      description: "keep it in the system's keyring (default), or in a file that only you can read",
    },
    fingerprint: {
      type: "string",
      valueHint: "SHA256:…",
      description: "trust the certificate of this fingerprint, and no other",
    },
    insecureHttp: {
      type: "boolean",
      description: "speak to this server without encryption from now on (or POGO_INSECURE_HTTP=1)",
    },
  },
  async run({ args, context }) {
    const { environment } = context;
    const place = args.store === "file" ? "file" : "keyring";
    const named = chooseServer(context, args.server);
    const known = await findToken({
      server: named,
      environment: { ...environment, POGO_TOKEN: "" },
    })
      // What was kept before may be out of reach; that is no reason not to log in again.
      .catch(() => ({ allowInsecure: false }));
    const trust = await decideTrust(context, named, args.fingerprint);
    const insecureHttp = args.insecureHttp ?? known.allowInsecure;
    const isInvite = args.invite === true;
    const given = await readToken(context, named, { isInvite, stdin: args.tokenStdin === true });
    const address = { url: named, allowInsecure: insecureHttp, trust };
    // A token that could not be kept would be lost, and the invite with it.
    if (isInvite) await checkPlace(environment, { server: named, place });
    const token = isInvite ? await redeem(context, address, given) : given;
    const channel = openChannel({ ...address, token });
    try {
      const { name: user } = await channel.unary(Auth.getUser, {}, { signal: context.signal });
      const server = channel.url;
      const { certificate } = trust;
      const entry = { user, place, insecureHttp, certificate } as const;
      await saveToken(environment, { server, token, ...entry });
      context.report({ server, user, store: place }, `logged in to ${server} as ${user}`);
    } finally {
      channel.close();
    }
    if (environment["POGO_TOKEN"]) {
      context.warn("POGO_TOKEN is set, and goes before what was kept now", "unset POGO_TOKEN");
    }
  },
});

async function readToken(
  context: Context,
  server: string,
  { isInvite, stdin }: { isInvite: boolean; stdin: boolean },
): Promise<string> {
  const what = isInvite ? "invite" : "token";
  if (stdin) return await readTokenFromStdin();
  if (context.interactive) return checkToken(await askSecret(context, `${what} for ${server}`));
  throw new PogoError("usage", `there is no terminal to ask for the ${what}`, {
    hint: `pogo login ${server} ${isInvite ? "--invite " : ""}--token-stdin`,
  });
}

/** Turns an invite into a token. It is good once. */
async function redeem(
  { signal }: Context,
  address: ChannelOptions,
  invite: string,
): Promise<string> {
  const channel = openChannel(address);
  try {
    const tokenName = `${hostname()} ${new Date().toISOString().slice(0, 10)}`;
    const { secret } = await channel.unary(Users.redeemInvite, { invite, tokenName }, { signal });
    return secret;
  } finally {
    channel.close();
  }
}
