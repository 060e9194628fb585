import { hashKey } from "#core/hash.ts";
import { memoryStore } from "#server/store/memory.ts";
import { objectStoreSuite } from "../../suites/store.ts";

objectStoreSuite("memory store", async () => {
  const objects = new Map<string, Uint8Array>();
  const store = memoryStore(objects);
  return {
    store,
    async damage(hash, change) {
      const key = hashKey(hash);
      objects.set(key, change(objects.get(key)!));
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});
