import { expect, test } from "bun:test";

import { sha256 } from "#core/hash.ts";
import { frameBytes, messageBytesMax } from "#core/limits.ts";
import type { BlobPart } from "#gen/pogo/v1/common.ts";
import { fromParts, toParts, type Blob } from "#rpc/blobs.ts";

function blob(size: number, seed = size): Blob {
  const bytes = Buffer.alloc(size, `${seed};`);
  return { hash: sha256(bytes), bytes };
}

async function* messages(...all: BlobPart[][]): AsyncGenerator<{ parts: BlobPart[] }> {
  for (const parts of all) yield { parts };
}

test("blobs of every size survive being cut and put together", async () => {
  const sizes = [
    0,
    1,
    100,
    frameBytes / 2,
    frameBytes - 1,
    frameBytes,
    frameBytes + 1,
    5_000_000,
    0,
    7,
  ];
  const blobs = sizes.map((size, index) => blob(size, index));
  const cut = await Array.fromAsync(toParts(blobs));
  for (const parts of cut) {
    const bytes = parts.reduce((sum, part) => sum + part.data.length + 64, 0);
    expect(bytes).toBeLessThan(messageBytesMax);
  }
  const whole = await Array.fromAsync(fromParts(messages(...cut), 5_000_000));
  expect(whole.map(({ hash, bytes }) => sha256(bytes).toHex() === hash.toHex())).toEqual(
    sizes.map(() => true),
  );
  expect(whole.map(({ bytes }) => bytes.length)).toEqual(sizes);
});

const { hash, bytes } = blob(10);
const part = (offset: number, length: number, total = 10, of = hash): BlobPart => {
  return { hash: of, total, offset, data: bytes.subarray(offset, offset + length) };
};

test.each([
  ["a blob that is too large", [part(0, 5, 2 ** 40)]],
  ["a blob that does not begin", [part(5, 5)]],
  ["a gap", [part(0, 4), part(5, 5)]],
  ["an overlap", [part(0, 6), part(5, 5)]],
  ["another total", [part(0, 5), part(5, 5, 11)]],
  ["another blob in between", [part(0, 5), part(5, 5, 10, new Uint8Array(32))]],
  ["a part without bytes", [part(0, 5), part(5, 0)]],
  ["more bytes than announced", [part(0, 10, 5)]],
  ["a blob that is cut off", [part(0, 5)]],
  ["a hash of another length", [part(0, 10, 10, new Uint8Array(31))]],
])("%s is refused", (_, parts) => {
  const read = Array.fromAsync(fromParts(messages(parts), 100));
  expect(read).rejects.toMatchObject({ code: "usage" });
});
