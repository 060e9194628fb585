import { mergeTexts } from "./merge-text.ts";
import { textEncoding } from "./text.ts";

type Endings = "lf" | "crlf" | "mixed" | "none";

const carriageReturn = 13;
const newline = 10;

/**
 * Merges texts of which one side converted all line endings: the edits of both go together, and
 * the conversion holds for the whole. Nothing when that is not what happened, or on a conflict.
 */
export function mergeConverted(
  base: Uint8Array,
  ours: Uint8Array,
  theirs: Uint8Array,
): Uint8Array | undefined {
  const texts = [base, ours, theirs] as const;
  if (texts.some((text) => textEncoding(text) !== "bytes")) return undefined;
  const [old, our, their] = texts.map(endingsOf);
  const isPure = [old, our, their].every((endings) => endings === "lf" || endings === "crlf");
  if (!isPure || (old === our && old === their)) return undefined;
  const merged = mergeTexts(toLf(base), toLf(ours), toLf(theirs));
  if (!merged) return undefined;
  const result = our === old ? their : our;
  return result === "crlf" ? toCrlf(merged) : merged;
}

function endingsOf(bytes: Uint8Array): Endings {
  let found: Endings = "none";
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) {
    const endings = bytes[at - 1] === carriageReturn ? "crlf" : "lf";
    if (found !== "none" && found !== endings) return "mixed";
    found = endings;
  }
  return found;
}

function toLf(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === carriageReturn && bytes[at + 1] === newline) continue;
    out[length++] = bytes[at]!;
  }
  return out.subarray(0, length);
}

function toCrlf(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length * 2);
  let length = 0;
  for (const byte of bytes) {
    if (byte === newline) out[length++] = carriageReturn;
    out[length++] = byte;
  }
  return out.slice(0, length);
}
