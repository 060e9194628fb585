/** The file that says which provider of identities is asked who somebody is. */
import { isLoopback } from "#core/loopback.ts";
import { openOptionsFile } from "../options-file.ts";

export type SsoOptions = {
  issuer: string;
  clientId: string;
  clientSecret: string | undefined;
  scope: string;
  /** The claim that is the user's name here, and the one that lists groups. */
  userClaim: string;
  groupsClaim: string;
  /** Groups of this server, and what the provider calls them. */
  groups: Record<string, string>;
  /** How long a token is good: whoever is gone from the provider can get no other. */
  tokenDays: number;
};

/** Reads the file, which is JSON; files that it names are looked for beside it. */
export function readSsoOptions(path: string): SsoOptions {
  const { text, number, file, groups, wrong } = openOptionsFile(path, "how to ask who somebody is");
  const issuer = text("issuer");
  const url = URL.parse(issuer);
  const isSafe = url?.protocol === "https:" || (url && isLoopback(url.hostname));
  if (!isSafe) throw wrong(`"issuer" is not an https address`);
  return {
    issuer,
    clientId: text("clientId"),
    clientSecret: file("clientSecretFile")?.trimEnd(),
    scope: text("scope", "openid profile"),
    userClaim: text("userClaim", "preferred_username"),
    groupsClaim: text("groupsClaim", "groups"),
    groups: groups(),
    tokenDays: number("tokenDays", 7, 365),
  };
}
