/**
 * Whom a client believes: certificates that an authority signed, by default and always; or, for a
 * server that nobody vouches for, the one certificate that the user said is right.
 */
import { isIP } from "node:net";
import { checkServerIdentity, connect, rootCertificates, type PeerCertificate } from "node:tls";

import { PogoError } from "#core/errors.ts";
import { sha256, toHex } from "#core/hash.ts";
import { connectMs } from "#core/limits.ts";

export type Trust = {
  /** More authorities, in PEM. */
  roots?: string | undefined;
  /** The certificate that the server must have, in PEM, whoever signed it. */
  certificate?: string | undefined;
};

/** A certificate as a server shows it. */
export type ShownCertificate = {
  pem: string;
  fingerprint: string;
  /** What is wrong with it, if an authority has to vouch for it. */
  problem: string | undefined;
};

// What a handshake says when there is no name to ask for: addresses are not allowed there.
const namelessServer = "localhost";

/** The authorities that are asked, in PEM. */
export function authorities({ roots, certificate }: Trust): string {
  const more = [roots, certificate].filter((pem) => pem !== undefined);
  return [...rootCertificates, ...more].join("\n");
}

/** The name that a handshake asks for. */
export function requestedName(hostname: string): string {
  return isAddress(hostname) ? namelessServer : hostname;
}

/** Makes what decides whether a certificate is the server's. */
export function identityCheck(hostname: string, { certificate }: Trust) {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return (_asked: string, shown: PeerCertificate): Error | undefined => {
    if (certificate === undefined) return checkServerIdentity(host, shown);
    if (fingerprintOf(shown.raw) === fingerprintOf(derOf(certificate))) return undefined;
    return new Error("certificate is another than the one that was trusted");
  };
}

/** Asks a server for its certificate, and says nothing to it that is secret. */
export async function fetchCertificate(url: string, trust: Trust): Promise<ShownCertificate> {
  const { hostname, port, host } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<ShownCertificate>();
  const socket = connect({
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port || 443),
    servername: requestedName(hostname),
    ca: authorities(trust),
    // Whether it is trusted is decided by whoever asks.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ["h2"],
  });
  socket.setTimeout(connectMs, () => socket.destroy(new Error("no answer")));
  socket.once("secureConnect", () => {
    const shown = socket.getPeerCertificate();
    const wrong = socket.authorized ? undefined : String(socket.authorizationError);
    const problem = wrong ?? identityCheck(hostname, trust)(hostname, shown)?.message;
    resolve({ pem: pemOf(shown.raw), fingerprint: fingerprintOf(shown.raw), problem });
  });
  socket.once("error", (cause) => {
    const message = `no secure connection to ${host}: ${cause.message}`;
    reject(new PogoError("unavailable", message, { cause }));
  });
  socket.once("close", () => {
    reject(new PogoError("unavailable", `${host} closed the connection: it may not speak TLS`));
  });
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** How people compare certificates: the SHA-256 of one, in hexadecimal. */
export function fingerprintOf(der: Uint8Array): string {
  return `SHA256:${toHex(sha256(der))}`;
}

/** The contents of a certificate in PEM, the first one if there are several. */
export function derOf(pem: string): Uint8Array {
  const base64 = /-----BEGIN CERTIFICATE-----([\s\S]+?)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (base64 === undefined) throw new PogoError("usage", "this is no certificate in PEM");
  return Buffer.from(base64, "base64");
}

/** Writes a certificate in PEM. */
export function pemOf(der: Uint8Array, label = "CERTIFICATE"): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[(.*)\]$/, "$1")) !== 0;
}
