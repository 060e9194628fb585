/** Tokens of the places that programs run in: whether an issuer that is believed signed one. */
import { createRemoteJWKSet, decodeJwt, errors, jwtVerify } from "jose";

import { PogoError } from "#core/errors.ts";
import { isLoopback } from "#core/loopback.ts";
import {
  clockToleranceSeconds,
  discoveryBytesMax,
  discoveryMs,
  workloadAgeSecondsMax,
} from "#core/limits.ts";

/** What a token that is right says. */
export type WorkloadClaims = { issuer: string; audiences: string[]; subject: string };

export type WorkloadIssuers = {
  has(issuer: string): boolean;
  /** Verifies a token; of an issuer that is not believed nothing is asked. */
  verify(token: string): Promise<WorkloadClaims>;
};

type Keys = ReturnType<typeof createRemoteJWKSet>;

// Signatures that only the issuer can make: a shared secret is none.
const algorithms = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"];

/** Opens the issuers that a server believes. */
export function openIssuers(issuers: readonly string[]): WorkloadIssuers {
  const known = new Map<string, Promise<Keys>>();
  for (const issuer of issuers) checkIssuer(issuer);

  async function keysOf(issuer: string): Promise<Keys> {
    const keys = known.get(issuer) ?? discover(issuer);
    known.set(issuer, keys);
    try {
      return await keys;
    } catch (error) {
      known.delete(issuer);
      throw error;
    }
  }

  return {
    has: (issuer) => issuers.includes(issuer),
    async verify(token) {
      const issuer = issuerOf(token);
      if (!issuers.includes(issuer)) throw refused("its issuer is not believed here");
      const settings = {
        issuer,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        maxTokenAge: workloadAgeSecondsMax,
      };
      const requiredClaims = ["exp", "iat", "sub", "aud"];
      try {
        const keys = await keysOf(issuer);
        const { payload } = await jwtVerify(token, keys, { ...settings, requiredClaims });
        const { aud = [], sub = "" } = payload;
        return { issuer, audiences: typeof aud === "string" ? [aud] : aud, subject: sub };
      } catch (error) {
        throw translate(error, issuer);
      }
    },
  };
}

function checkIssuer(issuer: string): void {
  const url = URL.parse(issuer);
  if (url?.protocol === "https:" || (url && isLoopback(url.hostname))) return;
  throw new PogoError("usage", `${JSON.stringify(issuer)} is not the https address of an issuer`);
}

function issuerOf(token: string): string {
  try {
    return decodeJwt(token).iss ?? "";
  } catch {
    throw refused("it is no JSON Web Token");
  }
}

async function discover(issuer: string): Promise<Keys> {
  const address = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const response = await fetch(address, {
    redirect: "error",
    signal: AbortSignal.timeout(discoveryMs),
  });
  const text = await response.text();
  if (!response.ok || text.length > discoveryBytesMax) throw unavailable(issuer);
  const described = JSON.parse(text) as { issuer?: unknown; jwks_uri?: unknown };
  if (described.issuer !== issuer || typeof described.jwks_uri !== "string") {
    throw unavailable(issuer);
  }
  return createRemoteJWKSet(new URL(described.jwks_uri), { timeoutDuration: discoveryMs });
}

function translate(error: unknown, issuer: string): unknown {
  if (error instanceof PogoError) return error;
  const isTransport = error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid;
  if (error instanceof errors.JOSEError && !isTransport) return refused(error.message);
  return unavailable(issuer, error);
}

function refused(why: string): PogoError {
  return new PogoError("denied", `the token is not believed: ${why}`);
}

function unavailable(issuer: string, cause?: unknown): PogoError {
  return new PogoError("unavailable", `${issuer} does not say what it signs with`, { cause });
}
