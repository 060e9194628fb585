import { sha256 } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import type { StoredObject } from "#server/store/store.ts";
import { seededRandom } from "./random.ts";

/** The objects of one batch: mostly small, some large, some of the batch before. */
export function batchOf(seed: number, batch: number): StoredObject[] {
  const { random } = seededRandom(seed + batch * 7919);
  const count = 1 + Math.floor(random() ** 2 * 120);
  return Array.from({ length: count }, (_, index) => {
    const isOld = batch > 0 && random() < 0.1;
    const size = random() < 0.03 ? 300_000 : Math.floor(random() * 3000);
    const text = `${seed} ${isOld ? `${batch - 1} 0` : `${batch} ${index}`} `;
    const raw = Buffer.from(isOld ? text : text.padEnd(size, String(random())));
    return { hash: sha256(raw), encoded: encodeObject(raw) };
  });
}
