/**
 * Operations: what was ever done to a repository, each bound to all before it by a hash, so that
 * nobody can alter one unnoticed.
 */
import { sha256, toHex, type Hash } from "./hash.ts";

/** Text of JSON's kinds; the numbers are integers. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Where a change is: at which of its versions, and whether it is hidden. */
export type ChangeState = { version: number; hidden: boolean };

/** What an operation did to a change; `before` is null for one that did not exist. */
export type ChangeEffect = { change: string; before: ChangeState | null; after: ChangeState };

/** What an operation did to a bookmark: names of changes, null where it did not exist. */
export type BookmarkEffect = { bookmark: string; before: string | null; after: string | null };

/** All that an operation did. Each change and each bookmark stands there once. */
export type Effects = { changes: ChangeEffect[]; bookmarks: BookmarkEffect[] };

export type Operation = {
  /** From 1, without gaps, per repository. */
  number: number;
  kind: string;
  /** Name of the user as it was then. */
  user: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  requestId: Uint8Array;
  effects: Effects;
  /** What the request asked and was answered. */
  details: Json;
};

const domain = Buffer.from("pogo operation 1\n");

/** Hashes an operation together with the hash of the one before; before the first, zeros. */
export function operationHash(previous: Hash, operation: Operation): Hash {
  const { number, kind, user, createdAt, requestId, effects, details } = operation;
  const fields = [number, kind, user, createdAt, toHex(requestId), effects, details];
  return sha256(Buffer.concat([domain, previous, Buffer.from(canonicalJson(fields))]));
}

/** Writes JSON in the one way in which it is hashed: keys sorted, no space (after RFC 8785). */
export function canonicalJson(value: Json): string {
  return JSON.stringify(value, (_key, inner: Json) => {
    if (inner === null || typeof inner !== "object" || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
