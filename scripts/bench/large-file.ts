/** A large file that does not compress, to be published and edited. */
import { closeSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";

export const mebibyte = 2 ** 20;

/** Writes the file `large` into a directory. */
export function writeLargeFile(directory: string, mebibytes: number): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, "large");
  const descriptor = openSync(path, "w");
  for (let index = 0; index < mebibytes; index++) writeSync(descriptor, randomBlock());
  closeSync(descriptor);
  return path;
}

/** Overwrites 1 MiB of it. */
export function editLargeFile(path: string, offset: number): void {
  const descriptor = openSync(path, "r+");
  writeSync(descriptor, randomBlock(), 0, mebibyte, offset);
  closeSync(descriptor);
}

/** Reads and hashes a file, as any system must that notices an edit; says how long it took. */
export function readingSeconds(path: string): number {
  const started = performance.now();
  const hasher = new Bun.CryptoHasher("sha256");
  const piece = new Uint8Array(mebibyte);
  const descriptor = openSync(path, "r");
  for (let count = 1; count > 0;) {
    count = readSync(descriptor, piece);
    hasher.update(piece.subarray(0, count));
  }
  closeSync(descriptor);
  hasher.digest();
  return (performance.now() - started) / 1000;
}

function randomBlock(): Uint8Array {
  const block = new Uint8Array(mebibyte);
  for (let at = 0; at < mebibyte; at += 65_536) {
    crypto.getRandomValues(block.subarray(at, at + 65_536));
  }
  return block;
}
