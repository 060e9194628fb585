import { hostname } from "node:os";

import { checkPlace, checkToken, findToken, saveToken, tokensFile } from "#client/credentials.ts";
import { PogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { openChannel, type ChannelOptions } from "#rpc/channel.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { logInByBrowser } from "../browser-login.ts";
import { askSecret, readLineFromStdin } from "../prompt.ts";
import { chooseServer } from "../server-choice.ts";
import { decideTrust } from "../server-trust.ts";
import { logInBySso } from "../sso-login.ts";

export const login = command({
  meta: {
    description: "keep the token for a server, once the server has accepted it",
    examples: [
      "pogo login http://localhost:7646",
      "pogo login https://pogo.example.com --token-stdin < token.txt",
      "pogo login https://pogo.example.com --invite",
      "pogo login https://pogo.example.com --user ann",
      "pogo login https://pogo.example.com --sso --browser",
    ],
  },
  args: {
    server: { type: "positional", required: false, valueHint: "SERVER", description: "its URL" },
    tokenStdin: { type: "boolean", description: "read the token, invite or password from stdin" },
    invite: {
      type: "boolean",
      description: "turn an invite into a token, called after this machine",
    },
    store: {
      type: "enum",
      options: ["keyring", "file"],
      description: "keep it in the system's keyring (default), or in a file that only you can read",
    },
    sso: { type: "boolean", description: "log in by confirming a code in a browser" },
    browser: {
      type: "boolean",
      description: "with --sso: in a browser on this machine, and no code",
    },
    user: {
      type: "string",
      valueHint: "NAME",
      description: "log in by a name and a password that the organisation's directory knows",
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
    const { user: name } = args;
    const isSso = args.sso === true;
    if (Number(args.invite === true) + Number(name !== undefined) + Number(isSso) > 1) {
      throw new PogoError("usage", "--invite, --user and --sso are three ways to log in");
    }
    if (args.browser && !isSso) {
      throw new PogoError("usage", "--browser goes with --sso");
    }
    const address = { url: named, allowInsecure: insecureHttp, trust };
    // A token that could not be kept would be lost, and the invite with it.
    if (isSso || args.invite || name !== undefined) {
      await checkPlace(environment, { server: named, place });
    }
    const what = args.invite === true ? "invite" : name === undefined ? "token" : "password";
    const token = isSso
      ? await bySso(context, address, args.browser === true)
      : await bySecret(context, address, { what, user: name, stdin: args.tokenStdin === true });
    const channel = openChannel({ ...address, token });
    try {
      const { name: user } = await channel.unary(Auth.getUser, {}, { signal: context.signal });
      const server = channel.url;
      const { certificate } = trust;
      const entry = { user, place, insecureHttp, certificate } as const;
      await saveToken(environment, { server, token, ...entry });
      const kept =
        place === "file" ? `; the token is in ${tokensFile(environment)}, not encrypted` : "";
      context.report({ server, user, store: place }, `logged in to ${server} as ${user}${kept}`);
    } finally {
      channel.close();
    }
    if (environment["POGO_TOKEN"]) {
      context.warn("POGO_TOKEN is set, and goes before what was kept now", "unset POGO_TOKEN");
    }
  },
});

type Secret = "token" | "invite" | "password";

async function readSecret(
  context: Context,
  server: string,
  { what, stdin }: { what: Secret; stdin: boolean },
): Promise<string> {
  // A password may hold what a token may not.
  const check = what === "password" ? (text: string) => text : checkToken;
  if (stdin) return check(await readLineFromStdin());
  if (context.interactive) return check(await askSecret(context, `${what} for ${server}`));
  throw new PogoError("usage", `there is no terminal to ask for the ${what}`, {
    hint: `pogo login ${server} ${options[what]}--token-stdin`,
  });
}

const options: Record<Secret, string> = {
  token: "",
  invite: "--invite ",
  password: "--user NAME ",
};

/** Reads a secret; turns an invite, which is good once, or a user's password into a token. */
async function bySecret(
  context: Context,
  address: ChannelOptions,
  { what, user = "", stdin }: { what: Secret; user: string | undefined; stdin: boolean },
): Promise<string> {
  const { signal } = context;
  const given = await readSecret(context, address.url, { what, stdin });
  if (what === "token") return given;
  const tokenName = newTokenName();
  const channel = openChannel(address);
  try {
    if (what === "invite") {
      const request = { invite: given, tokenName };
      return (await channel.unary(Users.redeemInvite, request, { signal })).secret;
    }
    const request = { user, password: given, tokenName };
    return (await channel.unary(Users.logIn, request, { signal })).secret;
  } finally {
    channel.close();
  }
}

async function bySso(context: Context, address: ChannelOptions, isHere: boolean): Promise<string> {
  const channel = openChannel(address);
  const logIn = isHere ? logInByBrowser : logInBySso;
  try {
    return await logIn(context, channel, newTokenName());
  } finally {
    channel.close();
  }
}

function newTokenName(): string {
  return `${hostname()} ${new Date().toISOString()}`;
}
