/**
 * A tree is one directory of a snapshot: its entries, sorted by the bytes of their names.
 * Its encoding is canonical, so the same directory has one hash everywhere:
 *
 *   entry     = tag name-length name body      (lengths and sizes: unsigned LEB128)
 *   file      = tag 1, executable file = tag 2: size, SHA-256 of the contents
 *   symlink   = tag 3: target-length, target
 *   directory = tag 4: hash of its tree
 *   conflict  = tag 5: number of bases, then side, base, side, ..., side: each a term
 *   term      = tag 0 when absent, else a tag as above, plus 8 before a path-length and a path
 *               when it stood elsewhere; then the body
 *
 * The hash is SHA-256 over the prefix "pogo tree 1\0" and the encoding: a tree can never be
 * passed off as a file's contents, nor the reverse.
 */
import { equalConflicts, isSimplified, termBytesMax, type ConflictTerm } from "./conflict.ts";
import { PogoError } from "./errors.ts";
import { hashBytes, toHex, type Hash } from "./hash.ts";
import { conflictSidesMax, symlinkBytesMax } from "./limits.ts";
import { nameProblem, pathProblem, symlinkProblem } from "./path.ts";

export type FileEntry = {
  kind: "file";
  name: string;
  executable: boolean;
  size: number;
  hash: Hash;
};
export type SymlinkEntry = { kind: "symlink"; name: string; target: string };
export type DirectoryEntry = { kind: "directory"; name: string; hash: Hash };
/** A path with several sides: see core/conflict.ts. */
export type ConflictEntry = {
  kind: "conflict";
  name: string;
  sides: (ConflictTerm | undefined)[];
  bases: (ConflictTerm | undefined)[];
};
export type Entry = FileEntry | SymlinkEntry | DirectoryEntry | ConflictEntry;

const tags = { absent: 0, file: 1, executable: 2, symlink: 3, directory: 4, conflict: 5 } as const;
const elsewhere = 8;
const prefix = Buffer.from("pogo tree 1\0");
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Orders names by their UTF-8 bytes, which is the order of their code points. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const x = a.charCodeAt(index);
    const y = b.charCodeAt(index);
    if (x === y) continue;
    // A surrogate stands for a code point above U+FFFF: it sorts after every other unit.
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** Hashes the encoding of a tree. */
export function treeHash(encoded: Uint8Array): Hash {
  const hasher = new Bun.CryptoHasher("sha256");
  hasher.update(prefix);
  hasher.update(encoded);
  return new Uint8Array(hasher.digest());
}

/** Hash of the tree without entries. */
export const emptyTreeHash: Hash = treeHash(new Uint8Array(0));

/** Encodes a directory. Entries may come in any order; two of one name are a bug. */
export function encodeTree(entries: readonly Entry[]): Uint8Array {
  const sorted = [...entries].sort((a, b) => compareNames(a.name, b.name));
  let bytesMax = 0;
  for (const entry of sorted) bytesMax += entryBytesMax(entry);
  const out = Buffer.allocUnsafe(bytesMax);
  let offset = 0;
  let previous: string | undefined;
  for (const entry of sorted) {
    if (entry.name === previous) throw new Error(`two tree entries are named ${entry.name}`);
    previous = entry.name;
    out[offset++] = tagOf(entry);
    offset = writeText(out, offset, entry.name);
    offset =
      entry.kind === "conflict" ? writeTerms(out, offset, entry) : writeBody(out, offset, entry);
  }
  return new Uint8Array(out.subarray(0, offset));
}

/** Decodes a directory and refuses, as corrupt, whatever `encodeTree` would not have written. */
export function decodeTree(encoded: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  const reader = { bytes: encoded, offset: 0 };
  let previous: string | undefined;
  while (reader.offset < encoded.length) {
    const entry = readEntry(reader);
    const problem = nameProblem(entry.name);
    if (problem) throw corrupt(`name ${JSON.stringify(entry.name)} ${problem}`);
    if (previous !== undefined && compareNames(previous, entry.name) >= 0) {
      throw corrupt(`names out of order at ${JSON.stringify(entry.name)}`);
    }
    previous = entry.name;
    entries.push(entry);
  }
  return entries;
}

/** Decodes a directory whose bytes came from elsewhere: the hash is checked first. */
export function verifyTree(hash: Hash, encoded: Uint8Array): Entry[] {
  if (Buffer.compare(treeHash(encoded), hash) !== 0) {
    throw new PogoError("corrupt", `tree ${toHex(hash)} has other bytes than its hash says`);
  }
  return decodeTree(encoded);
}

/** Tells whether two entries of one name say the same. */
export function equalEntries(a: Entry, b: Entry): boolean {
  if (a.kind === "conflict") return b.kind === "conflict" && equalConflicts(a, b);
  if (b.kind === "conflict") return false;
  if (a.kind === "symlink") return b.kind === "symlink" && a.target === b.target;
  if (b.kind === "symlink" || a.kind !== b.kind) return false;
  if (a.kind === "file" && b.kind === "file" && a.executable !== b.executable) return false;
  return Buffer.compare(a.hash, b.hash) === 0;
}

type Reader = { bytes: Uint8Array; offset: number };

function tagOf(entry: Entry | ConflictTerm): number {
  if (entry.kind === "file") return entry.executable ? tags.executable : tags.file;
  return tags[entry.kind];
}

function entryBytesMax(entry: Entry): number {
  const nameBytes = entry.name.length * 3;
  if (entry.kind === "symlink") return 60 + nameBytes + entry.target.length * 3;
  if (entry.kind !== "conflict") return 60 + nameBytes;
  const terms = [...entry.sides, ...entry.bases].map(termBytesMax);
  return 20 + nameBytes + terms.reduce((sum, bytes) => sum + bytes, 0);
}

function writeBody(out: Buffer, offset: number, entry: ConflictTerm): number {
  if (entry.kind === "symlink") return writeText(out, offset, entry.target);
  const start = entry.kind === "file" ? writeVarint(out, offset, entry.size) : offset;
  out.set(entry.hash, start);
  return start + hashBytes;
}

function writeTerms(out: Buffer, offset: number, conflict: ConflictEntry): number {
  if (!isSimplified(conflict)) throw new Error(`the conflict ${conflict.name} can be simplified`);
  let at = writeVarint(out, offset, conflict.bases.length);
  for (let index = 0; index < conflict.sides.length * 2 - 1; index++) {
    const terms = index % 2 === 0 ? conflict.sides : conflict.bases;
    const term = terms[index >> 1];
    if (term === undefined) {
      out[at++] = tags.absent;
      continue;
    }
    out[at++] = tagOf(term) + (term.path === undefined ? 0 : elsewhere);
    if (term.path !== undefined) at = writeText(out, at, term.path);
    at = writeBody(out, at, term);
  }
  return at;
}

function readEntry(reader: Reader): Entry {
  const tag = reader.bytes[reader.offset++];
  const name = readText(reader);
  if (tag === tags.conflict) return { kind: "conflict", name, ...readTerms(reader) };
  return { ...readBody(reader, tag), name } as Entry;
}

function readTerms(reader: Reader): Omit<ConflictEntry, "kind" | "name"> {
  const count = readVarint(reader);
  if (count < 1 || count >= conflictSidesMax) throw corrupt(`a conflict with ${count} bases`);
  const sides: (ConflictTerm | undefined)[] = [];
  const bases: (ConflictTerm | undefined)[] = [];
  for (let index = 0; index <= count * 2; index++) {
    (index % 2 === 0 ? sides : bases).push(readTerm(reader));
  }
  if (!isSimplified({ sides, bases })) throw corrupt("a conflict that can be simplified");
  return { sides, bases };
}

function readTerm(reader: Reader): ConflictTerm | undefined {
  const tag = reader.bytes[reader.offset++] ?? elsewhere;
  if (tag === tags.absent) return undefined;
  if (tag < elsewhere) return readBody(reader, tag);
  const path = readText(reader);
  const problem = pathProblem(path);
  if (problem) throw corrupt(`path ${JSON.stringify(path)} ${problem}`);
  return { ...readBody(reader, tag - elsewhere), path };
}

function readBody(reader: Reader, tag: number | undefined): ConflictTerm {
  switch (tag) {
    case tags.file:
    case tags.executable: {
      const size = readVarint(reader);
      return { kind: "file", executable: tag === tags.executable, size, hash: readHash(reader) };
    }
    case tags.symlink: {
      const target = readText(reader);
      if (target.length > symlinkBytesMax || symlinkProblem(target)) {
        throw corrupt(`target of a symlink, ${JSON.stringify(target)}`);
      }
      return { kind: "symlink", target };
    }
    case tags.directory:
      return { kind: "directory", hash: readHash(reader) };
    default:
      throw corrupt(`unknown tag ${tag}`);
  }
}

function readHash(reader: Reader): Hash {
  const end = reader.offset + hashBytes;
  if (end > reader.bytes.length) throw corrupt("cut off in a hash");
  const hash = reader.bytes.slice(reader.offset, end);
  reader.offset = end;
  return hash;
}

function readText(reader: Reader): string {
  const length = readVarint(reader);
  const end = reader.offset + length;
  if (end > reader.bytes.length) throw corrupt("cut off in a name");
  const bytes = reader.bytes.subarray(reader.offset, end);
  reader.offset = end;
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw corrupt("a name that is not UTF-8", cause);
  }
}

function readVarint(reader: Reader): number {
  let value = 0;
  for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
    const byte = reader.bytes[reader.offset++];
    if (byte === undefined) throw corrupt("cut off in a number");
    value += (byte & 0x7f) * scale;
    if (byte >= 0x80) continue;
    if ((byte === 0 && scale > 1) || !Number.isSafeInteger(value)) break;
    return value;
  }
  throw corrupt("a number that is not canonical");
}

function writeVarint(out: Buffer, offset: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    out[offset++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[offset++] = rest;
  return offset;
}

function writeText(out: Buffer, offset: number, text: string): number {
  const length = Buffer.byteLength(text);
  const start = writeVarint(out, offset, length);
  return start + out.write(text, start);
}

function corrupt(what: string, cause?: unknown): PogoError {
  return new PogoError("corrupt", `malformed tree: ${what}`, { cause });
}
