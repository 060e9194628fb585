/** Whether a server is who it says it is, when no authority says so: the user compares. */
import { readTrust } from "#client/credentials.ts";
import { PogoError } from "#core/errors.ts";
import { fetchCertificate, type ShownCertificate, type Trust } from "#rpc/trust.ts";
import type { Context } from "./context.ts";
import { askYes } from "./prompt.ts";

/**
 * Decides whose certificate to believe from now on. A certificate that was trusted once is not
 * replaced by another in silence, nor by a question: only by its fingerprint.
 */
export async function decideTrust(
  context: Context,
  url: string,
  fingerprint: string | undefined,
): Promise<Trust> {
  const known = readTrust(context.environment, url);
  if (!/^https:/i.test(url)) {
    if (fingerprint === undefined) return known;
    throw new PogoError("usage", `${url} has no certificate: it is not encrypted`);
  }
  const { host } = new URL(url);
  if (fingerprint !== undefined) {
    const { roots } = known;
    const shown = await fetchCertificate(url, { roots });
    if (normal(fingerprint) === normal(shown.fingerprint)) return { roots, certificate: shown.pem };
    const message = `the certificate of ${host} has the fingerprint ${shown.fingerprint}`;
    throw new PogoError("denied", message, {
      hint: "it is another than you named: somebody may be in between",
    });
  }
  const shown = await fetchCertificate(url, known);
  if (shown.problem === undefined) return known;
  if (known.certificate !== undefined) throw replaced(host, shown);
  if (!/self.signed/i.test(shown.problem)) throw unknown(host, shown);
  if (!context.interactive) throw unasked(url, host, shown);
  context.note(`nobody vouches for the certificate of ${host}. Its fingerprint is`);
  context.note(shown.fingerprint);
  if (await askYes(context, "is that what the server printed when it started?")) {
    return { ...known, certificate: shown.pem };
  }
  throw new PogoError("denied", `the certificate of ${host} is not trusted`);
}

function normal(fingerprint: string): string {
  return fingerprint
    .replace(/^sha-?256[:=]/i, "")
    .replaceAll(":", "")
    .toLowerCase();
}

function replaced(host: string, { fingerprint }: ShownCertificate): PogoError {
  const message = `the certificate of ${host} is not the one that was trusted`;
  return new PogoError("denied", message, {
    hint:
      "somebody may be in between; if the server has a new one, and prints this for it: " +
      `pogo login https://${host} --fingerprint ${fingerprint}`,
  });
}

function unknown(host: string, { problem = "" }: ShownCertificate): PogoError {
  return new PogoError("denied", `the certificate of ${host} is not trusted: ${problem}`, {
    hint: "if an authority of your own signed it, name the authority's certificate in SSL_CERT_FILE",
  });
}

function unasked(url: string, host: string, { fingerprint }: ShownCertificate): PogoError {
  return new PogoError("denied", `nobody vouches for the certificate of ${host}`, {
    hint: `if the server printed this when it started: pogo login ${url} --fingerprint ${fingerprint}`,
  });
}
