/**
 * A certificate that nobody vouches for, for a server's first hour: its clients compare its
 * fingerprint. X.509 is written here as DER, as far as one certificate needs it.
 */
import { dayMs, selfSignedMs } from "#core/limits.ts";
import { pemOf } from "#rpc/trust.ts";
import type { ServerIdentity } from "#rpc/listen.ts";

const oids = {
  commonName: [0x55, 0x04, 0x03],
  subjectAlternativeName: [0x55, 0x1d, 0x11],
  basicConstraints: [0x55, 0x1d, 0x13],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
};

/** Makes a key and a certificate for a host. */
export async function selfSign(host: string): Promise<ServerIdentity> {
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(curve, true, [
    "sign",
    "verify",
  ]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  const body = toBeSigned(host, spki);
  const settings = { name: "ECDSA", hash: "SHA-256" };
  const signature = new Uint8Array(await crypto.subtle.sign(settings, privateKey, body));
  const certificate = sequence(body, algorithm(), bits(signatureDer(signature)));
  return { cert: pemOf(certificate), key: pemOf(pkcs8, "PRIVATE KEY") };
}

function toBeSigned(host: string, publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = sequence(set(sequence(oid(oids.commonName), tagged(0x0c, Buffer.from("pogo")))));
  const now = Date.now();
  const serial = crypto.getRandomValues(new Uint8Array(16));
  // Positive, and without a zero in front.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return sequence(
    tagged(0xa0, tagged(0x02, Uint8Array.of(2))),
    tagged(0x02, serial),
    algorithm(),
    name,
    sequence(time(now - dayMs), time(now + selfSignedMs)),
    name,
    publicKey,
    tagged(0xa3, sequence(alternativeNames(host), constraints())),
  );
}

function alternativeNames(host: string): Uint8Array {
  const names = [
    tagged(0x82, Buffer.from("localhost")),
    tagged(0x87, Uint8Array.of(127, 0, 0, 1)),
    tagged(0x87, Uint8Array.from([...new Uint8Array(15), 1])),
    ...(/^[a-z][a-z0-9.-]*$/i.test(host) ? [tagged(0x82, Buffer.from(host))] : []),
    ...(/^\d+(\.\d+){3}$/.test(host)
      ? [tagged(0x87, Buffer.from(host.split(".").map(Number)))]
      : []),
  ];
  return sequence(oid(oids.subjectAlternativeName), tagged(0x04, sequence(...names)));
}

/** It signs itself, which only what may sign does. */
function constraints(): Uint8Array {
  const isAuthority = sequence(tagged(0x01, Uint8Array.of(0xff)));
  const critical = tagged(0x01, Uint8Array.of(0xff));
  return sequence(oid(oids.basicConstraints), critical, tagged(0x04, isAuthority));
}

/** Writes r and s, 32 bytes each, as DER wants them. */
function signatureDer(signature: Uint8Array): Uint8Array {
  return sequence(integer(signature.subarray(0, 32)), integer(signature.subarray(32)));
}

function integer(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(start);
  return tagged(0x02, digits[0]! < 0x80 ? digits : Uint8Array.from([0, ...digits]));
}

function algorithm(): Uint8Array {
  return sequence(oid(oids.ecdsaWithSha256));
}

function time(milliseconds: number): Uint8Array {
  const text = new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+/g, "");
  return tagged(0x18, Buffer.from(text));
}

function oid(bytes: number[]): Uint8Array {
  return tagged(0x06, Uint8Array.from(bytes));
}

function bits(bytes: Uint8Array): Uint8Array {
  return tagged(0x03, Uint8Array.from([0, ...bytes]));
}

function set(...parts: Uint8Array[]): Uint8Array {
  return tagged(0x31, ...parts);
}

function sequence(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return tagged(0x30, ...parts);
}

function tagged(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...size, ...parts.flatMap((part) => [...part])]);
}
