/** What ZIP had no room for at first, and that archives are read no faster than they are taken. */
import { expect, setDefaultTimeout, test } from "bun:test";

import { sha256 } from "#core/hash.ts";
import { objectBytesMax, readAheadBytes } from "#core/limits.ts";
import { encodeObject } from "#core/object.ts";
import { tarArchive } from "#server/archive/tar.ts";
import { zipArchive } from "#server/archive/zip.ts";
import { canReadZips, readZip, zipTime } from "../../support/read-zip.ts";

setDefaultTimeout(60_000);

test.each([
  ["zip", zipArchive, (piece: Uint8Array) => piece],
  ["tar.zst", tarArchive, (piece: Uint8Array) => Bun.zstdDecompressSync(piece)],
] as const)("no more is read for a %s than a little ahead", async (_, write, unpacked) => {
  const raw = crypto.getRandomValues(new Uint8Array(65_536));
  const encoded = encodeObject(raw, "raw");
  const hash = sha256(raw);
  let begun = 0;
  const source = {
    time: zipTime,
    entries: async function* () {
      for (let index = 0; index < 10_000; index++) {
        const file = { kind: "file", executable: false, size: raw.length, hash } as const;
        yield { ...file, path: `f${index}` };
      }
    },
    get: async () => {
      begun++;
      return encoded;
    },
  };
  let taken = 0;
  for await (const piece of write(source)) {
    taken += unpacked(piece).length;
    expect(begun * raw.length - taken).toBeLessThan(readAheadBytes + objectBytesMax);
    if (taken > 4 * readAheadBytes) break;
  }
});

test.if(canReadZips)("more members than 16 bits count", async () => {
  const empty = new Uint8Array(0);
  const hash = sha256(empty);
  const entries = Array.from({ length: 65_600 }, (_, index) => {
    return { kind: "file", path: `f${index}`, executable: false, size: 0, hash } as const;
  });
  const objects = new Map([[hash.toHex(), encodeObject(empty)]]);
  expect(await readZip(entries, objects)).toEqual({
    listed: "65600 f65599 0 (2024, 2, 29, 12, 34, 56)",
    tested: "0",
  });
});
