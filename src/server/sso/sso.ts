/**
 * Single sign-on by OpenID Connect, for programs. Either the user confirms a code in any browser,
 * at the provider, while the server asks the provider again and again (RFC 8628). Or a browser on
 * the user's machine comes back to the program that waits there (RFC 8252), with a code that the
 * server exchanges: state, nonce and verifier (RFC 7636) bind it to the login.
 */
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  AuthorizationResponseError,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
  ClientError,
  ClientSecretPost,
  discovery,
  enableNonRepudiationChecks,
  genericGrantRequest,
  initiateDeviceAuthorization,
  None,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
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

/** What shows that the answer which a browser comes back with is to this login. */
export type BrowserLogin = { redirectUri: string; state: string; nonce: string; verifier: string };

/** Somebody, by what the provider says. */
export type SsoPerson = { subject: string; name: string; groups: string[] };

export type Sso = {
  start(): Promise<SsoStart>;
  /** Who confirmed; nothing while nobody has. */
  finish(deviceCode: string): Promise<SsoPerson | undefined>;
  /** Where a browser is to go, and what the server keeps to itself. */
  startBrowser(redirectUri: string): Promise<{ address: string; login: BrowserLogin }>;
  /** Who it came back for, by the query that it came back with. */
  finishBrowser(login: BrowserLogin, answer: string): Promise<SsoPerson>;
  options: SsoOptions;
};

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";
const intervalSecondsDefault = 5;

/** Failures by which an answer is not to this login, rather than none. */
const answerFailures = new Set([
  "OAUTH_INVALID_RESPONSE",
  "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
  "OAUTH_JWT_TIMESTAMP_CHECK_FAILED",
  "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
]);

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
        throw refused(error);
      }
    },
    async startBrowser(redirectUri) {
      const [state, nonce, verifier] = [randomState(), randomNonce(), randomPKCECodeVerifier()];
      const url = buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirectUri,
        scope: options.scope,
        state,
        nonce,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      });
      return { address: url.href, login: { redirectUri, state, nonce, verifier } };
    },
    async finishBrowser({ redirectUri, state, nonce, verifier }, answer) {
      const config = await configuration();
      const url = new URL(redirectUri);
      url.search = answer;
      try {
        const tokens = await authorizationCodeGrant(config, url, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        });
        return personOf(options, tokens.claims());
      } catch (error) {
        throw refused(error);
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

/** What the provider says, or its answer to something else: no failure of the server's. */
function refused(error: unknown): unknown {
  if (error instanceof ResponseBodyError || error instanceof AuthorizationResponseError) {
    // It stands in a query that anybody may have written.
    const code = /^\w{1,64}$/.test(error.error) ? error.error : "no";
    return new PogoError("denied", `the provider says ${code}`);
  }
  if (error instanceof ClientError && answerFailures.has(error.code ?? "")) {
    return new PogoError("denied", "the browser came back with no answer to this login", {
      cause: error,
    });
  }
  return unavailable(error);
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
