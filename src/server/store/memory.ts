import { hashKey, keyHash } from "#core/hash.ts";
import { checkObject, isWhole, missingObject, type ObjectStore } from "./store.ts";

/** A store that is gone with its process. Tests reach into `objects` to damage them. */
export function memoryStore(objects: Map<string, Uint8Array> = new Map()): ObjectStore {
  return {
    async putAll(incoming) {
      for (const { hash, encoded } of incoming) checkObject(hash, encoded);
      for (const { hash, encoded } of incoming) {
        const held = objects.get(hashKey(hash));
        if (!held || !isWhole(held)) objects.set(hashKey(hash), encoded.slice());
      }
    },
    async get(hash) {
      const encoded = objects.get(hashKey(hash));
      if (!encoded) throw missingObject(hash);
      checkObject(hash, encoded);
      return encoded;
    },
    async has(hash) {
      const encoded = objects.get(hashKey(hash));
      return encoded !== undefined && isWhole(encoded);
    },
    async delete(hash) {
      objects.delete(hashKey(hash));
    },
    async *list() {
      for (const key of [...objects.keys()]) yield keyHash(key);
    },
    async [Symbol.asyncDispose]() {
      objects.clear();
    },
  };
}
