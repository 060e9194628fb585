/**
 * Objects sealed with AES-256-GCM before the store inside sees them, each under a key of its own:
 * HMAC-SHA256 of the data key over the object's hash. The hash is authenticated with the contents,
 * so that no object can take another's place. The sealed form is an object of codec 4
 * (core/object.ts), so the store inside finds rot without any key:
 *
 *   number of the data key (4 bytes, little-endian), nonce (12), ciphertext, tag (16)
 *
 * It hides contents from whoever gets hold of disks, buckets and backups. It hides neither the
 * sizes of objects nor their names, by which somebody who has a file can tell that it is there.
 * What is there unsealed, from before, is read as it is.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

import { PogoError } from "#core/errors.ts";
import { toHex, type Hash } from "#core/hash.ts";
import { encodeSealed, inspectObject } from "#core/object.ts";
import { checkObject, repairHint, type ObjectStore } from "./store.ts";

/** Data keys by their number; new objects are sealed with the current one. */
export type DataKeys = { current: number; keys: ReadonlyMap<number, Uint8Array> };

const cipherName = "aes-256-gcm";
const numberBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
const domain = "pogo object key 1\n";

/** Encrypts what goes into a store, and decrypts what comes out of it. */
export function encryptedStore(inner: ObjectStore, keys: DataKeys): ObjectStore {
  return {
    async putAll(objects) {
      for (const { hash, encoded } of objects) checkObject(hash, encoded);
      await inner.putAll(
        objects.map(({ hash, encoded }) => ({ hash, encoded: sealObject(keys, hash, encoded) })),
      );
    },
    async get(hash) {
      return openStored(keys, hash, await inner.get(hash));
    },
    has: (hash) => inner.has(hash),
    delete: (hash) => inner.delete(hash),
    list: () => inner.list(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** Decrypts an object as it is stored, if it is encrypted. */
export function openStored(keys: DataKeys | undefined, hash: Hash, stored: Uint8Array): Uint8Array {
  const { codec, payload } = inspectObject(stored);
  if (codec !== "sealed") return stored;
  const encoded = unsealObject(keys, hash, payload);
  checkObject(hash, encoded);
  return encoded;
}

function sealObject({ current, keys }: DataKeys, hash: Hash, encoded: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(cipherName, keyOf(keys.get(current)!, hash), nonce);
  cipher.setAAD(hash);
  const number = Buffer.alloc(numberBytes);
  number.writeUInt32LE(current);
  const text = cipher.update(encoded);
  cipher.final();
  return encodeSealed(encoded.length, number, nonce, text, cipher.getAuthTag());
}

function unsealObject(dataKeys: DataKeys | undefined, hash: Hash, payload: Uint8Array): Uint8Array {
  const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  const key = dataKeys?.keys.get(number);
  if (!key) {
    const message = `object ${toHex(hash)} is encrypted with data key ${number}, which is not here`;
    throw new PogoError("unavailable", message, {
      hint: "restart the server; if that does not help, restore the database that has the key",
    });
  }
  const nonce = payload.subarray(numberBytes, numberBytes + nonceBytes);
  const decipher = createDecipheriv(cipherName, keyOf(key, hash), nonce);
  decipher.setAAD(hash);
  decipher.setAuthTag(payload.subarray(-tagBytes));
  const text = decipher.update(payload.subarray(numberBytes + nonceBytes, -tagBytes));
  try {
    decipher.final();
  } catch (cause) {
    const message = `object ${toHex(hash)} is damaged: it is not what was encrypted`;
    throw new PogoError("corrupt", message, { hint: repairHint, cause });
  }
  return new Uint8Array(text.buffer, text.byteOffset, text.byteLength);
}

function keyOf(dataKey: Uint8Array, hash: Hash): Uint8Array {
  return createHmac("sha256", dataKey).update(domain).update(hash).digest();
}
