/** Messages that carry blobs are encoded as the generated code encodes them. */
import { expect, test } from "bun:test";

import type { BlobPart } from "#gen/pogo/v1/common.ts";
import { GetObjectsResponse, GetTreesResponse } from "#gen/pogo/v1/pull.ts";
import { PutObjectsRequest, PutTreesRequest } from "#gen/pogo/v1/push.ts";
import { pullMethods, pushMethods } from "#rpc/blob-methods.ts";
import { randomBytes } from "../support/random.ts";

const hash = randomBytes(1, 32);
const lengths = [0, 1, 127, 128, 16_383, 16_384, 300_000];
const positions = [0, 1, 127, 128, 16_384, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];
const parts: BlobPart[] = [
  { hash: new Uint8Array(0), total: 0, offset: 0, data: new Uint8Array(0) },
  ...lengths.map((length) => ({ hash, total: length, offset: 0, data: randomBytes(2, length) })),
  ...positions.map((at) => ({ hash, total: at, offset: at, data: randomBytes(3, 10) })),
];
const url = { hash, url: "https://cdn.example/x", rawSize: 5 };

test("each message is what the generated code makes of it", () => {
  for (const carried of [[], ...parts.map((part) => [part]), parts]) expectSame(carried);
});

function expectSame(carried: BlobPart[]): void {
  const { putObjects, putTrees } = pushMethods;
  const { getObjects, getTrees } = pullMethods;
  for (const repository of ["", "Ünicode"]) {
    const request = { repository, parts: carried };
    const encoded = PutObjectsRequest.encode(request).finish();
    expect(putObjects.requestSerialize(request).equals(encoded)).toBe(true);
    expect(
      putTrees.requestSerialize(request).equals(PutTreesRequest.encode(request).finish()),
    ).toBe(true);
  }
  const trees = { parts: carried };
  expect(getTrees.responseSerialize(trees).equals(GetTreesResponse.encode(trees).finish())).toBe(
    true,
  );
  for (const urls of [[], [url]]) {
    const objects = { parts: carried, urls };
    const decoded = GetObjectsResponse.decode(getObjects.responseSerialize(objects));
    expect(decoded).toEqual(GetObjectsResponse.decode(GetObjectsResponse.encode(objects).finish()));
  }
}
