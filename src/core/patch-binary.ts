/** Git's binary patches: both contents deflated, in base 85. */
import { deflateSync } from "node:zlib";

const alphabet =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const lineBytesMax = 52;
const noHash = "0".repeat(40);

/** Writes a patch that turns one content into another, and back; either may be missing. */
export function binaryPatch(
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
): Uint8Array {
  const forward = literal(after ?? new Uint8Array(0));
  const reverse = literal(before ?? new Uint8Array(0));
  return Buffer.from(`GIT binary patch\n${forward}\n${reverse}\n`, "latin1");
}

/** Names a file's contents as git does; no file has a name of its own. */
export function gitHash(bytes: Uint8Array | undefined): string {
  if (!bytes) return noHash;
  const hasher = new Bun.CryptoHasher("sha1");
  hasher.update(`blob ${bytes.length}\0`);
  return hasher.update(bytes).digest("hex");
}

function literal(bytes: Uint8Array): string {
  const packed = deflateSync(bytes);
  const lines = [`literal ${bytes.length}\n`];
  for (let at = 0; at < packed.length; at += lineBytesMax) {
    const part = packed.subarray(at, at + lineBytesMax);
    // A line's length stands before it: A to Z for 1 to 26, a to z for 27 to 52.
    const size = part.length <= 26 ? 0x40 + part.length : 0x60 + part.length - 26;
    lines.push(String.fromCharCode(size), base85(part), "\n");
  }
  return lines.join("");
}

function base85(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    let value = 0;
    for (let index = at; index < at + 4; index++) value = value * 256 + (bytes[index] ?? 0);
    let digits = "";
    for (let index = 0; index < 5; index++) {
      digits = alphabet.charAt(value % 85) + digits;
      value = Math.floor(value / 85);
    }
    text += digits;
  }
  return text;
}
