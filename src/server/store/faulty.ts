import type { ObjectStore } from "./store.ts";

/**
 * What goes wrong in one call: `fail` throws before it does anything; `short` does half and then
 * throws, or returns half of the bytes; `delay` waits for `until` first.
 */
export type Fault = { method: "putAll" | "get" | "has" | "delete"; call: number } & (
  | { kind: "fail"; error: Error }
  | { kind: "short"; error: Error }
  | { kind: "delay"; until: Promise<void> }
);

/** A store whose calls go wrong as planned, for tests. Calls of a method are counted from 1. */
export function faultyStore(inner: ObjectStore, faults: readonly Fault[]): ObjectStore {
  const calls = { putAll: 0, get: 0, has: 0, delete: 0 };

  // Counts the call and says whether it is to be cut short.
  async function begin(method: Fault["method"]): Promise<Error | undefined> {
    const call = ++calls[method];
    for (const fault of faults) {
      if (fault.method !== method || fault.call !== call) continue;
      if (fault.kind === "fail") throw fault.error;
      if (fault.kind === "short") return fault.error;
      await fault.until;
    }
    return undefined;
  }

  return {
    async putAll(objects) {
      const error = await begin("putAll");
      if (!error) return inner.putAll(objects);
      await inner.putAll(objects.slice(0, objects.length >> 1));
      throw error;
    },
    async get(hash) {
      const error = await begin("get");
      const encoded = await inner.get(hash);
      return error ? encoded.subarray(0, encoded.length >> 1) : encoded;
    },
    async has(hash) {
      const error = await begin("has");
      if (error) throw error;
      return inner.has(hash);
    },
    async delete(hash) {
      const error = await begin("delete");
      await inner.delete(hash);
      if (error) throw error;
    },
    list: () => inner.list(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
