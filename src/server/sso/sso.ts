/**
 * Single sign-on by OpenID Connect, for programs: the user confirms a code in a browser, at the
 * provider, while the server asks the provider again and again (RFC 8628).
 */
import {
  allowInsecureRequests,
  ClientSecretPost,
  discovery,
  enableNonRepudiationChecks,
  genericGrantRequest,
  initiateDeviceAuthorization,
  None,
  ResponseBodyError,
  type Configuration,
} from "openid-client";

import { PogoError } from "#core/errors.ts";
import type { SsoOptions } from "./options.ts";

/** What the user is told, and what the server keeps to itself. */
export type SsoStart = {
  deviceCode: string;
  userCode: string;
  verificationUri: string;
  verificationUriComplete: string;
  intervalSeconds: number;
  expiresInSeconds: number;
};

/** Somebody, by what the provider says. */
export type SsoPerson = { subject: string; name: string; groups: string[] };

export type Sso = {
  start(): Promise<SsoStart>;
  /** Who confirmed; nothing while nobody has. */
  finish(deviceCode: string): Promise<SsoPerson | undefined>;
  options: SsoOptions;
};

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
const intervalSecondsDefault = 5;

/** Opens single sign-on. The provider is asked about itself at the first use. */
export function openSso(options: SsoOptions): Sso {
  let known: Promise<Configuration> | undefined;

  async function configuration(): Promise<Configuration> {
    known ??= discover(options);
    try {
      return await known;
    } catch (error) {
      // It may answer the next time.
      known = undefined;
      throw unavailable(error);
    }
  }

  return {
    options,
    async start() {
      const { scope } = options;
      const answer = await ask(initiateDeviceAuthorization(await configuration(), { scope }));
      return {
        deviceCode: answer.device_code,
        userCode: answer.user_code,
        verificationUri: answer.verification_uri,
        verificationUriComplete: answer.verification_uri_complete ?? "",
        intervalSeconds: answer.interval ?? intervalSecondsDefault,
        expiresInSeconds: answer.expires_in,
      };
    },
    async finish(deviceCode) {
      const config = await configuration();
      try {
        const asked = { device_code: deviceCode };
        const tokens = await genericGrantRequest(config, deviceGrant, asked);
        return personOf(options, tokens.claims());
      } catch (error) {
        const code = error instanceof ResponseBodyError ? error.error : undefined;
        if (code === "authorization_pending" || code === "slow_down") return undefined;
        if (code !== undefined) throw new PogoError("denied", `the provider says ${code}`);
        throw unavailable(error);
      }
    },
  };
}

async function discover(options: SsoOptions): Promise<Configuration> {
  const { issuer, clientId, clientSecret } = options;
  const authentication = clientSecret === undefined ? None() : ClientSecretPost(clientSecret);
  const execute = [enableNonRepudiationChecks];
  if (issuer.startsWith("http:")) execute.push(allowInsecureRequests);
  return await discovery(new URL(issuer), clientId, undefined, authentication, { execute });
}

function personOf(
  { issuer, userClaim, groupsClaim, groups }: SsoOptions,
  claims: { sub: string; [claim: string]: unknown } | undefined,
): SsoPerson {
  const name = claims?.[userClaim];
  if (!claims || typeof name !== "string") {
    throw new PogoError("denied", `the provider does not say who it is in "${userClaim}"`);
  }
  const given = claims[groupsClaim];
  const theirs = Array.isArray(given) ? given : [];
  const own = Object.entries(groups).filter(([, value]) => theirs.includes(value));
  return { subject: `${issuer} ${claims.sub}`, name, groups: own.map(([group]) => group) };
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw unavailable(error);
  }
}

function unavailable(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PogoError) return error;
  const { message: why } = error;
  return new PogoError("unavailable", `the provider of identities does not answer: ${why}`, {
    cause: error,
  });
}
