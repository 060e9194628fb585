/**
 * What the database keeps sealed: AES-256-GCM, as nonce (12 bytes), ciphertext and tag (16). Each
 * is bound to what it is, so that none can take another's place.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

import { PogoError } from "#core/errors.ts";
import type { DataKeys } from "./store/encrypted.ts";

/** A secret as the database has it, and where. */
export type SealedSecret = {
  repositoryId: number;
  name: string;
  /** Of the data key. */
  keyNumber: number;
  sealed: Uint8Array;
};

const cipherName = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;

/** Seals bytes with a key. */
export function seal(key: Uint8Array, bytes: Uint8Array, boundTo: string): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(cipherName, key, nonce);
  cipher.setAAD(Buffer.from(boundTo));
  return Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what was sealed; nothing when it was not with this key, bound to this, and all of it. */
export function unseal(
  key: Uint8Array,
  sealed: Uint8Array,
  boundTo: string,
): Uint8Array | undefined {
  if (sealed.length < nonceBytes + tagBytes) return undefined;
  const decipher = createDecipheriv(cipherName, key, sealed.subarray(0, nonceBytes));
  decipher.setAAD(Buffer.from(boundTo));
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  const bytes = decipher.update(sealed.subarray(nonceBytes, -tagBytes));
  try {
    return new Uint8Array(Buffer.concat([bytes, decipher.final()]));
  } catch {
    return undefined;
  }
}

/** Seals a secret of a repository. */
export function sealSecret(
  keys: DataKeys | undefined,
  { repositoryId, name }: { repositoryId: number; name: string },
  value: string,
): SealedSecret {
  const dataKey = keys?.keys.get(keys.current);
  if (!keys || !dataKey) {
    throw new PogoError("denied", "this server has no keys to seal secrets with", {
      hint: "whoever runs it may give it some: pogo serve --keys FILE",
    });
  }
  const sealed = seal(keyOf(dataKey), Buffer.from(value), placeOf(repositoryId, name));
  return { repositoryId, name, keyNumber: keys.current, sealed };
}

/** Opens a secret of a repository. */
export function unsealSecret(
  keys: DataKeys | undefined,
  { repositoryId, name, keyNumber, sealed }: SealedSecret,
): string {
  const dataKey = keys?.keys.get(keyNumber);
  if (!dataKey) {
    const message = `secret ${name} is sealed with data key ${keyNumber}, which is not here`;
    throw new PogoError("unavailable", message, { hint: "restart the server with its keys" });
  }
  const bytes = unseal(keyOf(dataKey), sealed, placeOf(repositoryId, name));
  if (bytes) return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  throw new PogoError("corrupt", `secret ${name} is damaged: it is not what was sealed here`, {
    hint: `set it again: pogo secret set ${name}`,
  });
}

/** The data key encrypts objects by keys that are derived from it, and secrets by another. */
function keyOf(dataKey: Uint8Array): Uint8Array {
  return createHmac("sha256", dataKey).update("pogo secret key 1\n").digest();
}

function placeOf(repositoryId: number, name: string): string {
  return `pogo secret ${repositoryId} ${name}`;
}
