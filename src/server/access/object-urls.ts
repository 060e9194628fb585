/**
 * URLs by which whoever has one gets one object of one repository for a while, from a content
 * delivery network whose origin this server is. All servers of a database sign alike.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

import { PogoError } from "#core/errors.ts";
import { toHex, type Hash } from "#core/hash.ts";
import { urlStepMs } from "#core/limits.ts";
import { isLoopback } from "#core/loopback.ts";

/** An object, and the repository that it is asked of. */
export type UrlScope = { repositoryId: number; repository: string; hash: Hash };

/** What a URL says of itself. */
export type UrlClaim = { expires: number; signature: string };

export type ObjectUrls = {
  sign(scope: UrlScope): string;
  /** Tells whether this server, or another one of its database, made a URL for this, and when. */
  isValid(scope: UrlScope, claim: UrlClaim): boolean;
};

const domain = "pogo object url 1\n";

/** Reads the address of a delivery network, and refuses one where others could listen in. */
export function checkCdn(text: string): string {
  const url = URL.parse(text);
  const isSafe =
    url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
  if (url && isSafe && !url.username && !url.password && !url.search && !url.hash) {
    return url.href.replace(/\/+$/, "");
  }
  throw new PogoError("usage", `${JSON.stringify(text)} is no address of a delivery network`, {
    hint: "write it as https://HOST or https://HOST/PATH",
  });
}

/** Makes what signs. The data key is mixed in, if there is one: without it nothing is decrypted. */
export function openObjectUrls(
  base: string,
  secret: Uint8Array,
  dataKey: Uint8Array = new Uint8Array(0),
): ObjectUrls {
  const key = createHmac("sha256", secret).update(domain).update(dataKey).digest();
  const signatureOf = ({ repositoryId, repository, hash }: UrlScope, expires: number) => {
    const signed = JSON.stringify([repositoryId, repository, toHex(hash), expires]);
    return createHmac("sha256", key).update(signed).digest("base64url");
  };
  return {
    sign(scope) {
      // At the end of the next step, so that it is good for one at least.
      const expires = ((Math.floor(Date.now() / urlStepMs) + 2) * urlStepMs) / 1000;
      const query = `expires=${expires}&signature=${signatureOf(scope, expires)}`;
      return `${base}/${scope.repository}/objects/${toHex(scope.hash)}?${query}`;
    },
    isValid(scope, { expires, signature }) {
      const right = Buffer.from(signatureOf(scope, expires));
      const shown = Buffer.from(signature);
      return (
        shown.length === right.length &&
        timingSafeEqual(shown, right) &&
        expires * 1000 > Date.now()
      );
    },
  };
}
