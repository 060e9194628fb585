/** The text of tokens and invites: known by its beginning, and by its end for whole or not. */
import { sha256, type Hash } from "#core/hash.ts";

const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const secretLength = 38;
const checksumLength = 6;
const tokenPrefix = "pogo_";
const invitePrefix = "pogoinvite_";

/** Makes the text of a token: its last six letters tell a mistyped one from a revoked one. */
export function newTokenText(): string {
  return newText(tokenPrefix);
}

/** Makes the text of an invite, which looks like a token's but for how it begins. */
export function newInviteText(): string {
  return newText(invitePrefix);
}

/** Tells whether a text was meant as a token or an invite, and something in it was lost. */
export function isMistyped(text: string): boolean {
  const looksLikeOne = text.startsWith(tokenPrefix) || text.startsWith(invitePrefix);
  return looksLikeOne && checksumOf(text.slice(0, -checksumLength)) !== text.slice(-checksumLength);
}

/** Tells whether a text is that of an invite, whole or not. */
export function isInvite(text: string): boolean {
  return text.startsWith(invitePrefix);
}

/** Hashes a token or an invite the way that the database knows it. */
export function hashSecret(text: string): Hash {
  return sha256(Buffer.from(text));
}

function newText(prefix: string): string {
  let text = prefix;
  while (text.length < prefix.length + secretLength) {
    for (const byte of crypto.getRandomValues(new Uint8Array(secretLength))) {
      // 248 is the largest multiple of 62: the rest would make the first letters likelier.
      const isFull = text.length === prefix.length + secretLength;
      if (byte < 248 && !isFull) text += letters.charAt(byte % 62);
    }
  }
  return text + checksumOf(text);
}

function checksumOf(text: string): string {
  let rest = Bun.hash.crc32(text);
  let digits = "";
  while (digits.length < checksumLength) {
    digits = letters.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}
