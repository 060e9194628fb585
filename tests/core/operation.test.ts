import { expect, test } from "bun:test";

import { toHex } from "#core/hash.ts";
import { operationHash, type Operation } from "#core/operation.ts";

const zeros = new Uint8Array(32);
const operation: Operation = {
  number: 2,
  kind: "commit",
  user: "ann",
  createdAt: 1_700_000_000_123,
  requestId: Uint8Array.fromHex("000102030405060708090a0b0c0d0e0f"),
  effects: {
    changes: [
      { change: "klmnopqrstuvwxyz", before: null, after: { version: 1, hidden: false } },
      {
        change: "zyxwvutsrqponmlk",
        before: { version: 2, hidden: false },
        after: { version: 2, hidden: true },
      },
    ],
    bookmarks: [{ bookmark: "é/ü", before: "klmnopqrstuvwxyz", after: null }],
  },
  details: { version: 1, change: "klmnopqrstuvwxyz", list: [1, '\u2028"', null, true, {}] },
};

test("the hash of an operation is this one for ever", () => {
  expect(toHex(operationHash(zeros, operation))).toBe(
    "df5b2b493bf43feb49b66610856710232fc9a6ca0507d93b7883d19a9c61adc2",
  );
  const empty: Operation = {
    number: 1,
    kind: "",
    user: "",
    createdAt: 0,
    requestId: new Uint8Array(),
    effects: { changes: [], bookmarks: [] },
    details: {},
  };
  expect(toHex(operationHash(zeros, empty))).toBe(
    "deda6a4fe6e192d7beb90858d08124743fafc0cba5067ded9cd9c43c765a4ab0",
  );
});

test("the order of keys does not matter, as a database keeps none", () => {
  const { details, effects, ...rest } = operation;
  const reordered = {
    details: reversed(details),
    effects: reversed(effects),
    ...rest,
  } as Operation;
  expect(Object.keys(reordered.details as object)).not.toEqual(Object.keys(details as object));
  expect(operationHash(zeros, reordered)).toEqual(operationHash(zeros, operation));
});

test("whatever is altered alters the hash", () => {
  const original = toHex(operationHash(zeros, operation));
  const { effects } = operation;
  const [first, second] = effects.changes;
  const altered: Operation[] = [
    { ...operation, number: 3 },
    { ...operation, kind: "describe" },
    { ...operation, user: "bob" },
    { ...operation, createdAt: operation.createdAt + 1 },
    { ...operation, requestId: new Uint8Array(16) },
    { ...operation, details: { ...(operation.details as object), version: "1" } },
    { ...operation, effects: { ...effects, changes: [first!] } },
    { ...operation, effects: { ...effects, changes: [second!, first!] } },
    { ...operation, effects: { ...effects, bookmarks: [] } },
    {
      ...operation,
      effects: { ...effects, changes: [first!, { ...second!, before: null }] },
    },
  ];
  const hashes = altered.map((other) => toHex(operationHash(zeros, other)));
  const previous = new Uint8Array(32).fill(1);
  const all = [original, toHex(operationHash(previous, operation)), ...hashes];
  expect(new Set(all).size).toBe(altered.length + 2);
});

/** The same value with all keys in the reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([key, inner]) => [key, reversed(inner)]));
}
