/** Puts one object to a store and says how it failed. */
import { isPogoError } from "#core/errors.ts";
import { sha256 } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import { openDiskStore } from "#server/store/disk.ts";

const store = await openDiskStore(process.argv[2]!);
const raw = Buffer.from("refused");
try {
  await store.putAll([{ hash: sha256(raw), encoded: encodeObject(raw) }]);
  console.log("no failure");
} catch (error) {
  if (!isPogoError(error)) throw error;
  console.log(`${error.code}: ${error.message}\nhint: ${error.hint}`);
}
