import { expect, test } from "bun:test";

import { completeMessages } from "#server/db/protocol-frames.ts";

function typed(type: string, payload: string): Buffer {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(4 + payload.length, 1);
  return Buffer.concat([header, Buffer.from(payload)]);
}

function untyped(code: number, payload: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(8 + payload.length);
  header.writeUInt32BE(code, 4);
  return Buffer.concat([header, Buffer.from(payload)]);
}

const startup = untyped(196_608, "user\0postgres\0\0");
const cancel = untyped(80_877_102, "12345678");
const query = typed("Q", "select 1\0");
const large = typed("B", "x".repeat(1000));
const sync = typed("S", "");
const terminate = typed("X", "");

test("messages stay together, except that a start stands alone and an end is dropped", () => {
  const bytes = Buffer.concat([startup, query, large, sync, terminate, query, cancel, sync]);
  const { messages, rest } = completeMessages(new Uint8Array(0), bytes);
  expect(messages.map((message) => Buffer.from(message))).toEqual([
    Buffer.from(startup),
    Buffer.concat([query, large, sync]),
    Buffer.from(query),
    Buffer.from(sync),
  ]);
  expect(rest).toHaveLength(0);
});

test("it does not matter where the stream is cut", () => {
  const bytes = Buffer.concat([startup, query, large, terminate, sync]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const first = completeMessages(new Uint8Array(0), bytes.subarray(0, cut));
    const second = completeMessages(first.rest, bytes.subarray(cut));
    const whole = Buffer.concat([...first.messages, ...second.messages]);
    expect(whole.equals(Buffer.concat([startup, query, large, sync]))).toBe(true);
    expect(second.rest).toHaveLength(0);
  }
});
