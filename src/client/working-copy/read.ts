/**
 * Reads files of the working copy for hashing and sending. A file that changes while it is read is
 * read again, and after a few times refused: what is sent is what stood on the disk at one moment.
 * Nothing here needs the working copy's state, so that it can run in any thread.
 */
import { closeSync, constants, openSync, readlinkSync } from "node:fs";
import { PogoError } from "#core/errors.ts";
import { sha256, sha256Stream, type Hash } from "#core/hash.ts";
import { readPlaceholder } from "#core/placeholder.ts";
import { kindOfMode, statDescriptor, statWords } from "#native/directory.ts";
import { readAt } from "#native/files.ts";
import { equalStats, isExecutable, statSize, type Stat } from "./stat.ts";

export type ReadFile = { bytes: Uint8Array; stat: Stat; executable: boolean };
export type HashedFile = { hash: Hash; size: number; stat: Stat; executable: boolean };

const statAfter: Stat = new Uint32Array(statWords);
const attemptsMax = 5;
const pieceBytes = 1024 * 1024;
// Without O_NONBLOCK a fifo that took the file's place would hang us.
const openFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Reads a whole file, which the caller knows to be small enough to hold. */
export function readWorkingFile(root: string, path: string): ReadFile {
  return readSteadily(root, path, (descriptor, stat) => {
    const bytes: Uint8Array = Buffer.allocUnsafeSlow(statSize(stat));
    if (!readExactly(descriptor, bytes, 0)) return undefined;
    return { bytes, stat, executable: isExecutable(stat[0]!) };
  });
}

/**
 * Hashes a file of any size, holding one piece of it. What stands for obliterated contents has
 * their hash and size.
 */
export function hashWorkingFile(root: string, path: string): HashedFile {
  return readSteadily(root, path, (descriptor, stat) => {
    const size = statSize(stat);
    const piece = new Uint8Array(Math.min(size, pieceBytes));
    let hash: Hash;
    if (size <= pieceBytes) {
      if (!readExactly(descriptor, piece, 0)) return undefined;
      const contents = readPlaceholder(piece);
      if (contents) return { ...contents, stat, executable: isExecutable(stat[0]!) };
      hash = sha256(piece);
    } else {
      const hasher = sha256Stream();
      for (let offset = 0; offset < size; offset += piece.length) {
        const part = piece.subarray(0, Math.min(piece.length, size - offset));
        if (!readExactly(descriptor, part, offset)) return undefined;
        hasher.update(part);
      }
      hash = hasher.digest();
    }
    return { hash, size, stat, executable: isExecutable(stat[0]!) };
  });
}

/** A file that is open to be read in pieces, from the beginning as often as is needed. */
export type OpenFile = Disposable & {
  size: number;
  stat: Stat;
  executable: boolean;
  /** Reads the pieces in order; each is valid until the next. Throws if the file changed. */
  pieces(): Generator<Uint8Array>;
};

/** Opens a file that is too large to hold. */
export function openWorkingFile(root: string, path: string): OpenFile {
  const descriptor = openFile(root, path);
  try {
    const stat = statOpen(descriptor, path);
    const size = statSize(stat);
    return {
      size,
      stat,
      executable: isExecutable(stat[0]!),
      *pieces() {
        const piece = new Uint8Array(Math.min(size, pieceBytes));
        for (let offset = 0; offset < size; offset += piece.length) {
          const part = piece.subarray(0, Math.min(piece.length, size - offset));
          if (!readExactly(descriptor, part, offset)) throw changing(path);
          yield part;
        }
        if (!isUnchanged(descriptor, stat)) throw changing(path);
      },
      [Symbol.dispose]: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** Reads a part of a file that still stands as it was when it was opened. */
export function readWorkingPart(
  root: string,
  path: string,
  stat: Stat,
  { offset, length }: { offset: number; length: number },
): Uint8Array {
  const descriptor = openFile(root, path);
  try {
    const bytes = Buffer.allocUnsafeSlow(length);
    if (readExactly(descriptor, bytes, offset) && isUnchanged(descriptor, stat)) return bytes;
  } finally {
    closeSync(descriptor);
  }
  throw changing(path);
}

/** Reads where a symlink leads; nothing when its text is not UTF-8. */
export function readLink(root: string, path: string): string | undefined {
  try {
    const bytes = readlinkSync(`${root}/${path}`, { encoding: "buffer" });
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    if (cause instanceof TypeError) return undefined;
    throw unreadable(path, cause);
  }
}

/** The error for a file or directory that cannot be read. */
export function unreadable(path: string, cause: unknown): PogoError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const name = JSON.stringify(path === "" ? "." : path);
  if (code === "EACCES" || code === "EPERM") {
    return new PogoError("denied", `cannot read ${name}: permission denied`, {
      cause,
      hint: "make it readable, or list it in .pogoignore",
    });
  }
  if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return changing(path, cause);
  return new PogoError("unavailable", `cannot read ${name}: ${message}`, { cause });
}

function readSteadily<T>(
  root: string,
  path: string,
  read: (descriptor: number, stat: Stat) => T | undefined,
): T {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const descriptor = openFile(root, path);
    try {
      const stat = statOpen(descriptor, path);
      const result = read(descriptor, stat);
      if (result !== undefined && isUnchanged(descriptor, stat)) return result;
    } finally {
      closeSync(descriptor);
    }
  }
  throw changing(path);
}

function openFile(root: string, path: string): number {
  try {
    return openSync(`${root}/${path}`, openFlags);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function statOpen(descriptor: number, path: string): Stat {
  const stat = new Uint32Array(statWords);
  statDescriptor(descriptor, stat);
  if (kindOfMode(stat[0]!) !== "file") throw changing(path);
  return stat;
}

// A file that was replaced meanwhile is whole and consistent: what stands in its place now has
// another stat, and is found by the next scan.
function isUnchanged(descriptor: number, stat: Stat): boolean {
  statDescriptor(descriptor, statAfter);
  return equalStats(stat, 0, statAfter, 0);
}

function readExactly(descriptor: number, into: Uint8Array, offset: number): boolean {
  return readAt(descriptor, into, offset) === into.length;
}

function changing(path: string, cause?: unknown): PogoError {
  return new PogoError("unavailable", `${JSON.stringify(path)} changes while it is being read`, {
    cause,
    hint: "run the command again when nothing writes to it",
  });
}
