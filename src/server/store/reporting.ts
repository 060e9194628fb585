import { toHex, type Hash } from "#core/hash.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { repairHint, type ObjectStore } from "./store.ts";

/**
 * A store that reports what it should have had: an object that is damaged, or that is gone. It is
 * asked for nothing but what was made durable once, so one that is not there is corrupt as well.
 */
export function reportingStore(
  inner: ObjectStore,
  report: (hash: Hash) => Promise<void>,
): ObjectStore {
  return {
    async get(hash) {
      try {
        return await inner.get(hash);
      } catch (cause) {
        const isGone = isPogoError(cause, "not-found");
        if (isGone || isPogoError(cause, "corrupt")) await report(hash);
        if (!isGone) throw cause;
        const message = `object ${toHex(hash)} has disappeared from the store`;
        throw new PogoError("corrupt", message, { hint: repairHint, cause });
      }
    },
    putAll: (objects) => inner.putAll(objects),
    has: (hash) => inner.has(hash),
    delete: (hash) => inner.delete(hash),
    list: () => inner.list(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
