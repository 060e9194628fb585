/** The file that says which provider of identities is asked who somebody is. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { PogoError } from "#core/errors.ts";
import { checkGroupName } from "#core/name.ts";

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

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Reads the file, which is JSON; files that it names are looked for beside it. */
export function readSsoOptions(path: string): SsoOptions {
  const given = parse(path);
  const text = (key: string, unlessGiven?: string): string => {
    const value = given[key] ?? unlessGiven;
    if (typeof value === "string" && value !== "") return value;
    throw wrong(path, `"${key}" is not given as a text`);
  };
  const { clientSecretFile, tokenDays = 7, groups = {} } = given;
  if (typeof tokenDays !== "number" || !(tokenDays > 0 && tokenDays <= 365)) {
    throw wrong(path, '"tokenDays" is not a number up to 365');
  }
  const secret =
    typeof clientSecretFile === "string"
      ? readText(resolve(dirname(path), clientSecretFile)).trimEnd()
      : undefined;
  const issuer = text("issuer");
  const url = URL.parse(issuer);
  const isSafe = url?.protocol === "https:" || (url && loopback.test(url.hostname));
  if (!isSafe) throw wrong(path, `"issuer" is not an https address`);
  return {
    issuer,
    clientId: text("clientId"),
    clientSecret: secret,
    scope: text("scope", "openid profile"),
    userClaim: text("userClaim", "preferred_username"),
    groupsClaim: text("groupsClaim", "groups"),
    groups: checkGroups(path, groups),
    tokenDays,
  };
}

function checkGroups(path: string, groups: unknown): Record<string, string> {
  if (typeof groups !== "object" || groups === null) throw wrong(path, '"groups" is no object');
  for (const [name, value] of Object.entries(groups)) {
    checkGroupName(name);
    if (typeof value !== "string") throw wrong(path, `group ${name} names none of the provider`);
  }
  return groups as Record<string, string>;
}

function parse(path: string): Record<string, unknown> {
  const text = readText(path);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw wrong(path, "it is not a JSON object");
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new PogoError("usage", `${path} cannot be read`, { cause });
  }
}

function wrong(path: string, why: string): PogoError {
  return new PogoError("usage", `${path} does not say how to ask who somebody is: ${why}`);
}
