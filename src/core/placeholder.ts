/**
 * What stands in a working copy where contents were that are obliterated: a text that says so, and
 * which contents it stands for. Wherever a working copy is compared, it counts as these: nothing
 * differs because of it, it may be moved, and no push makes the text a file's contents. Once it is
 * edited it stands for itself.
 */
import { toHex, type Hash } from "./hash.ts";
import { placeholderBytesMax } from "./limits.ts";

export type Obliterated = { hash: Hash; size: number };

const beginning = "pogo: obliterated ";
const pattern = /^pogo: obliterated ([0-9a-f]{64}) (\d{1,16}) ([0-9a-f]{16})\n([^]*)$/;

/** Makes the text. */
export function placeholderOf(
  { hash, size }: Obliterated,
  { reason, at }: { reason: string; at: Date },
): Uint8Array {
  const date = at.toISOString().slice(0, 10);
  const rest = `\nThese contents were deleted from the server for good on ${date}: ${reason}\n`;
  return Buffer.from(`${beginning}${toHex(hash)} ${size} ${checksumOf(rest)}\n${rest}`);
}

/** Which contents a text stands for; nothing when it is a text like any other. */
export function readPlaceholder(bytes: Uint8Array): Obliterated | undefined {
  if (bytes.length > placeholderBytesMax || bytes[0] !== beginning.charCodeAt(0)) return undefined;
  const match = pattern.exec(Buffer.from(bytes).toString());
  const [, hash = "", size = "", checksum, rest = ""] = match ?? [];
  if (!match || checksumOf(rest) !== checksum) return undefined;
  return { hash: Uint8Array.fromHex(hash), size: Number(size) };
}

/** Why contents were obliterated, by the text in their place. */
export function readReason(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  return text.slice(text.indexOf(" on ") + 1).trim();
}

/** Tells whether a file of a size may be what an entry says, or stand for it. */
export function mayBeOfSize(size: number, entry: { size: number }): boolean {
  return size === entry.size || size <= placeholderBytesMax;
}

function checksumOf(text: string): string {
  return Bun.hash.xxHash64(text).toString(16).padStart(16, "0");
}
