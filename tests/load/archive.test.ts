/** Archives of files that are larger than ZIP was made for. */
import { expect, test } from "bun:test";

import { sha256 } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { encodeChunkList, encodeObject } from "#core/object.ts";
import { canReadZips, readZip } from "../support/read-zip.ts";

// Gigabytes take a while.
const isLong = Boolean(process.env["POGO_TEST_LOAD"]);
test.if(canReadZips && isLong)(
  "larger members than 32 bits count",
  async () => {
    const raw = new Uint8Array(objectBytesMax);
    const chunk = { hash: sha256(raw), size: raw.length };
    const list = encodeChunkList(Array.from({ length: 1030 }, () => chunk));
    const size = 1030 * objectBytesMax;
    const small = Buffer.from("after it");
    const name = sha256(Buffer.from("any"));
    const objects = new Map([
      [chunk.hash.toHex(), encodeObject(raw)],
      [name.toHex(), list],
      [sha256(small).toHex(), encodeObject(small)],
    ]);
    const file = { kind: "file", executable: false } as const;
    const entries = [
      { ...file, path: "large", size, hash: name },
      { ...file, path: "small", size: small.length, hash: sha256(small) },
    ];
    expect(await readZip(entries, objects)).toEqual({
      listed: `2 small ${size + small.length} (2024, 2, 29, 12, 34, 56)`,
      tested: "0",
    });
  },
  600_000,
);
