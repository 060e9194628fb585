/** Data keys that objects are encrypted with, wrapped: of no use without the operator's keys. */
import type { Queries } from "./connect.ts";

export type WrappedKey = {
  /** What sealed objects name it by. */
  number: number;
  /** Id of the operator's key that wraps it, and the salt, if that one is a passphrase. */
  keyId: string;
  salt: Uint8Array;
  wrapped: Uint8Array;
};

/** Reads all data keys, and keeps other servers from changing them until the transaction ends. */
export async function lockObjectKeys(tx: Queries): Promise<WrappedKey[]> {
  await tx`lock table object_keys in share row exclusive mode`;
  return await tx<WrappedKey[]>`
    select number, key_id, salt, wrapped from object_keys order by number`;
}

/** Keeps a data key, wrapped for the first time or anew. */
export async function putObjectKey(tx: Queries, key: WrappedKey): Promise<void> {
  await tx`
    insert into object_keys (number, key_id, salt, wrapped)
    values (${key.number}, ${key.keyId}, ${key.salt}, ${key.wrapped})
    on conflict (number) do update
    set key_id = excluded.key_id, salt = excluded.salt, wrapped = excluded.wrapped,
      wrapped_at = now()`;
}
