import { toHex, type Hash } from "#core/hash.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { repairHint, type ObjectStore } from "./store.ts";

export type Reporting = {
  report: (hash: Hash) => Promise<void>;
  /** What to give for an object that is gone on purpose. */
  substitute: (hash: Hash) => Promise<Uint8Array | undefined>;
};

/**
 * A store that reports what it should have had: an object that is damaged, or that is gone. It is
 * asked for nothing but what was made durable once, so one that is not there is corrupt as well.
 */
export function reportingStore(inner: ObjectStore, { report, substitute }: Reporting): ObjectStore {
  return {
    async get(hash) {
      try {
        return await inner.get(hash);
      } catch (cause) {
        const isGone = isPogoError(cause, "not-found");
        if (isGone || isPogoError(cause, "corrupt")) {
          const instead = await substitute(hash);
          if (instead) return instead;
          await report(hash);
        }
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
