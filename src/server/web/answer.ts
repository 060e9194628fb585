/** What a route answers with, and what it may know of its request. */
import type { IncomingMessage } from "node:http";

export type WebAnswer = {
  status: number;
  headers: Record<string, string>;
  /** Text, or a stream that is read as fast as it can be sent. */
  body: string | Uint8Array | AsyncIterable<Uint8Array>;
};

export type WebRequest = {
  headers: IncomingMessage["headers"];
  /** What stands in the path where the route's has a name in braces. */
  parameters: Record<string, string>;
  query: URLSearchParams;
  /** Whence it comes, as far as who passed it on is trusted. */
  address: string;
};

/** A short text, for people. */
export function text(
  status: number,
  body: string,
  headers: Record<string, string> = {},
): WebAnswer {
  const type = { "content-type": "text/plain; charset=utf-8" };
  return { status, headers: { ...type, "cache-control": "no-store", ...headers }, body };
}

/** Whether the client has what a tag names already. */
export function isUnchanged({ headers }: WebRequest, tag: string): boolean {
  const plain = (each: string) => each.trim().replace(/^W\//, "");
  const held = headers["if-none-match"]?.split(",").map(plain) ?? [];
  return held.includes("*") || held.includes(plain(tag));
}
