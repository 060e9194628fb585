/**
 * The keys of encryption at rest. An operator has a few keys, each with an id, in a file or in the
 * environment; they wrap the data keys, which are in the database and encrypt the objects and the
 * secrets. To change to another key, an operator puts it before the others: at the next start the
 * data keys are wrapped with it, nothing else is written anew, and the old one may be thrown away.
 */
import { randomBytes } from "node:crypto";

import { PogoError } from "#core/errors.ts";
import { passphraseLengthMin } from "#core/limits.ts";
import { passphraseKey } from "#core/passphrase.ts";
import { transaction, type Sql } from "./db/connect.ts";
import { lockObjectKeys, putObjectKey, type WrappedKey } from "./db/object-keys.ts";
import { seal, unseal } from "./sealing.ts";

/** A key of the operator's: its bytes, or a passphrase that they are made from. */
type OperatorKey = { id: string; bytes?: Uint8Array; passphrase?: string };

/** Data keys by their number, and which is used for what is new. */
type OpenedKeys = { current: number; keys: Map<number, Uint8Array> };

const keyBytes = 32;
const saltBytes = 16;

const formatHint = "one key a line, ID: BASE64 of 32 bytes (openssl rand -base64 32)";

/**
 * Opens the data keys with the operator's, makes the first one if there is none, and wraps anew
 * those that another than the operator's first key wraps. Nothing if nothing is encrypted.
 */
export async function openDataKeys(
  sql: Sql,
  text: string | undefined,
): Promise<OpenedKeys | undefined> {
  const operatorKeys = text === undefined ? [] : parseKeys(text);
  return await transaction(sql, async (tx) => {
    const rows = await lockObjectKeys(tx);
    const keys = await unwrapAll(rows, operatorKeys);
    const [first] = operatorKeys;
    if (!first) return undefined;
    for (const { number, keyId } of rows) {
      const dataKey = keys.get(number)!;
      if (keyId !== first.id) await putObjectKey(tx, await wrap(number, dataKey, first));
    }
    if (keys.size === 0) {
      const dataKey = new Uint8Array(randomBytes(keyBytes));
      keys.set(1, dataKey);
      await putObjectKey(tx, await wrap(1, dataKey, first));
    }
    return { current: Math.max(...keys.keys()), keys };
  });
}

/** Opens data keys with the operator's and changes nothing. Nothing if there are none. */
export async function unwrapKeys(
  rows: readonly WrappedKey[],
  text: string | undefined,
): Promise<OpenedKeys | undefined> {
  const keys = await unwrapAll(rows, text === undefined ? [] : parseKeys(text));
  return keys.size === 0 ? undefined : { current: Math.max(...keys.keys()), keys };
}

async function unwrapAll(
  rows: readonly WrappedKey[],
  operatorKeys: readonly OperatorKey[],
): Promise<Map<number, Uint8Array>> {
  const keys = new Map<number, Uint8Array>();
  for (const row of rows) keys.set(row.number, await unwrap(row, operatorKeys));
  return keys;
}

/** Reads keys as an operator writes them: `ID: BASE64`, or `ID: passphrase TEXT`. */
function parseKeys(text: string): OperatorKey[] {
  const keys = text.split(/\r?\n/).flatMap((line, index): OperatorKey[] => {
    if (/^\s*(#.*)?$/.test(line)) return [];
    const match = /^\s*([A-Za-z0-9._-]{1,64})\s*:\s*(\S.*?)\s*$/.exec(line);
    // The line is not told: it may hold a key.
    const wrong = (why: string) =>
      new PogoError("usage", `line ${index + 1} of the keys ${why}`, { hint: formatHint });
    const [, id, value = ""] = match ?? [];
    if (id === undefined) throw wrong("is not one");
    const passphrase = /^passphrase\s+(.*)$/.exec(value)?.[1];
    if (passphrase !== undefined) {
      if (passphrase.length >= passphraseLengthMin) return [{ id, passphrase }];
      throw wrong(`is a passphrase of less than ${passphraseLengthMin} characters`);
    }
    const bytes = new Uint8Array(Buffer.from(value, "base64"));
    const isKey = /^[A-Za-z0-9+/]{43}=$/.test(value) && bytes.length === keyBytes;
    if (!isKey) throw wrong(`is not ${keyBytes} bytes in base64`);
    return [{ id, bytes }];
  });
  if (keys.length === 0) throw new PogoError("usage", "there are no keys", { hint: formatHint });
  if (new Set(keys.map(({ id }) => id)).size === keys.length) return keys;
  throw new PogoError("usage", "two keys have the same id");
}

async function wrap(number: number, dataKey: Uint8Array, key: OperatorKey): Promise<WrappedKey> {
  const salt = randomBytes(saltBytes);
  const wrapped = seal(await bytesOf(key, salt), dataKey, boundTo(number));
  return { number, keyId: key.id, salt, wrapped };
}

async function unwrap(row: WrappedKey, operatorKeys: readonly OperatorKey[]): Promise<Uint8Array> {
  const key = operatorKeys.find(({ id }) => id === row.keyId);
  if (!key) throw missingKey(row, operatorKeys);
  const dataKey = unseal(await bytesOf(key, row.salt), row.wrapped, boundTo(row.number));
  if (dataKey) return dataKey;
  const message = `the key "${row.keyId}" is not the one that the objects are encrypted with`;
  throw new PogoError("usage", message, { hint: "start with the right one" });
}

async function bytesOf(key: OperatorKey, salt: Uint8Array): Promise<Uint8Array> {
  return key.bytes ?? (await passphraseKey(key.passphrase ?? "", salt));
}

function boundTo(number: number): string {
  return `pogo data key ${number}`;
}

function missingKey({ keyId }: WrappedKey, operatorKeys: readonly OperatorKey[]): PogoError {
  const given = operatorKeys.map(({ id }) => `"${id}"`).join(", ");
  const message = `the objects are encrypted with the key "${keyId}"`;
  return new PogoError("usage", given ? `${message}, and not with ${given}` : message, {
    hint: "start with that key: --keys FILE, or POGO_KEYS",
  });
}
