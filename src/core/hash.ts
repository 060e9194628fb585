import { PogoError } from "./errors.ts";

/** A SHA-256 of 32 bytes. In text and JSON it is written as 64 hexadecimal digits. */
export type Hash = Uint8Array;

export const hashBytes = 32;

/** Hashes bytes with SHA-256 (FIPS 180-4). */
export function sha256(bytes: Uint8Array): Hash {
  return Bun.SHA256.hash(bytes) as Uint8Array;
}

/** Starts an incremental SHA-256: `update` with bytes, then `digest` once. */
export function sha256Stream(): { update(bytes: Uint8Array): void; digest(): Hash } {
  const hasher = new Bun.CryptoHasher("sha256");
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => new Uint8Array(hasher.digest()),
  };
}

/** Writes a hash as 64 lower-case hexadecimal digits. */
export function toHex(hash: Uint8Array): string {
  return hash.toHex();
}

/** Reads 64 hexadecimal digits; refuses anything else. */
export function fromHex(text: string): Hash {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new PogoError("usage", `not a SHA-256: ${text}`);
  return Uint8Array.fromHex(text);
}

/** Tells whether two hashes are the same. */
export function equalHashes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** A map from hashes: the key is the hash's bytes, one character each. */
export function hashKey(hash: Uint8Array): string {
  // Not through a Buffer over `hash.buffer`: asking a small array for that moves its bytes.
  return Buffer.prototype.toString.call(hash, "latin1");
}

/** Turns a key of `hashKey` back into the hash. */
export function keyHash(key: string): Hash {
  return new Uint8Array(Buffer.from(key, "latin1"));
}
