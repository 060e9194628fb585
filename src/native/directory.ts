/**
 * Reads directories and stats in bulk, where a system call a file is already most of the time.
 *
 * On Linux `getdents64` and `statx` are called directly, into buffers that live as long as the
 * reader: nothing is allocated for an entry that nobody looks at. Elsewhere, and when the C
 * library lacks one of the calls, `node:fs` gives the same answers more slowly. When a call fails,
 * `node:fs` repeats it, to say why.
 *
 * A stat is nine words of 32 bits: see `statWords`. The first is the mode, or 0 for nothing.
 */
import { dlopen, ptr } from "bun:ffi";
import { assert } from "#core/errors.ts";
import { fstatSync, lstatSync, readdirSync, type BigIntStats } from "node:fs";

/** Words of a stat, in this order: mode, size, inode (low, high each), mtime and ctime (s, ns). */
export const statWords = 9;

export type EntryKind = "file" | "directory" | "symlink" | "other";

/**
 * A directory's entries but for "." and "..". A name that is not UTF-8 is no text: its `name` has
 * replacement characters and names nothing.
 */
export type Listing = { name: string; isText: boolean; kind: EntryKind }[];

/** Looks at what stands below one root. Paths are relative to it; the root itself is ".". */
export type DirectoryReader = Disposable & {
  /** Lists a directory; refuses to follow a symlink in its place. Throws what `node:fs` throws. */
  list(path: string): Listing;
  /**
   * Stats `count` paths, which stand one after another in `paths`, each ended by a NUL, and
   * writes `statWords` words for each. A symlink is not followed.
   */
  stat(paths: Uint8Array, count: number, out: Uint32Array): void;
};

const fileTypeMask = 0o170000;
const kinds: Record<number, EntryKind> = {
  0o100000: "file",
  0o040000: "directory",
  0o120000: "symlink",
};
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const listingBytes = 256 * 1024;

/** Kind of what a mode belongs to. */
export function kindOfMode(mode: number): EntryKind {
  return kinds[mode & fileTypeMask] ?? "other";
}

/** Opens a reader: the fast one where there is one. */
export function openDirectoryReader(root: string): DirectoryReader {
  const calls = systemCalls();
  return calls ? directReader(calls, root) : portableReader(root);
}

/** Writes the stat of an open file, as `DirectoryReader.stat` would. */
export function statDescriptor(descriptor: number, out: Uint32Array): void {
  const calls = systemCalls();
  if (
    calls &&
    calls.statx(descriptor, emptyPathAddress, atEmptyPath, statxBasic, rawAddress) === 0
  ) {
    unpackStatx(raw, out, 0);
  } else {
    packStat(fstatSync(descriptor, { bigint: true }), out);
  }
}

/** The reader that needs nothing but `node:fs`. */
export function portableReader(root: string): DirectoryReader {
  return {
    list: (path) => listPortably(absolute(root, path)),
    stat(paths, count, out) {
      let start = 0;
      for (let index = 0; index < count; index++) {
        const end = paths.indexOf(0, start);
        const path = Buffer.from(paths.subarray(start, end)).toString();
        writeStat(absolute(root, path), out, index * statWords);
        start = end + 1;
      }
    },
    [Symbol.dispose]() {},
  };
}

function listPortably(path: string): Listing {
  refuseOther(path);
  const entries = readdirSync(path, { withFileTypes: true });
  // A name that is not UTF-8 was decoded with replacements: only then are bytes asked for.
  if (entries.some(({ name }) => name.includes("\ufffd"))) return listBytes(path);
  return entries.map((entry) => {
    let kind: EntryKind = "other";
    if (entry.isFile()) kind = "file";
    else if (entry.isDirectory()) kind = "directory";
    else if (entry.isSymbolicLink()) kind = "symlink";
    return { name: entry.name, isText: true, kind };
  });
}

function listBytes(path: string): Listing {
  return readdirSync(path, { encoding: "buffer" }).map((bytes) => {
    const { mode } = lstatSync(Buffer.concat([Buffer.from(`${path}/`), bytes]));
    return { name: bytes.toString(), isText: isUtf8(bytes), kind: kindOfMode(mode) };
  });
}

/** Writes the stat of one open file or path of `node:fs` in the form of `DirectoryReader.stat`. */
export function packStat(stat: BigIntStats, out: Uint32Array, offset = 0): void {
  out[offset] = Number(stat.mode);
  out[offset + 1] = Number(stat.size & 0xffffffffn);
  out[offset + 2] = Number(stat.size >> 32n);
  out[offset + 3] = Number(stat.ino & 0xffffffffn);
  out[offset + 4] = Number((stat.ino >> 32n) & 0xffffffffn);
  const billion = 1_000_000_000n;
  out[offset + 5] = Number(BigInt.asUintN(32, floorDivide(stat.mtimeNs, billion)));
  out[offset + 6] = Number(((stat.mtimeNs % billion) + billion) % billion);
  out[offset + 7] = Number(BigInt.asUintN(32, floorDivide(stat.ctimeNs, billion)));
  out[offset + 8] = Number(((stat.ctimeNs % billion) + billion) % billion);
}

type SystemCalls = {
  openat(directory: number, path: number, flags: number, mode: number): number;
  close(descriptor: number): number;
  getdents64(descriptor: number, buffer: number, size: number): number;
  statx(directory: number, path: number, flags: number, mask: number, out: number): number;
};

// Over an ArrayBuffer from the start: what a small array points to may move later. Behind the
// 256 bytes of a struct statx stands a NUL: an empty path.
const raw = new Uint32Array(new ArrayBuffer(260));
const rawAddress = ptr(raw);
const emptyPathAddress = rawAddress + 256;
const atNoFollow = 0x100;
const atEmptyPath = 0x1000;
const statxDontSync = 0x4000;
const statxBasic = 0x7ff;
const isArm = process.arch === "arm64";
const openDirectoryFlags =
  (isArm ? 0x4000 : 0x10000) | (isArm ? 0x8000 : 0x20000) | 0x80000; /* O_CLOEXEC */
const openPathFlags = (isArm ? 0x4000 : 0x10000) | 0x80000 | 0x200000; /* O_PATH */

let loaded: { calls: SystemCalls | undefined } | undefined;

function systemCalls(): SystemCalls | undefined {
  loaded ??= { calls: loadSystemCalls() };
  return loaded.calls;
}

function loadSystemCalls(): SystemCalls | undefined {
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return undefined;
  const musl = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${musl}.so.1`]) {
    try {
      return dlopen(name, {
        openat: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
        close: { args: ["i32"], returns: "i32" },
        getdents64: { args: ["i32", "ptr", "u64"], returns: "i32" },
        statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
      }).symbols as unknown as SystemCalls;
    } catch {
      // Another C library, or an older one: the portable reader does the same.
    }
  }
  return undefined;
}

function directReader(calls: SystemCalls, root: string): DirectoryReader {
  const buffer = Buffer.from(new ArrayBuffer(listingBytes));
  const bufferAddress = ptr(buffer);
  const rootPath = Buffer.from(`${root}\0`);
  const rootDescriptor = calls.openat(-100, ptr(rootPath), openPathFlags, 0);
  // Whatever is wrong with the root, `node:fs` says it better.
  if (rootDescriptor < 0) return portableReader(root);

  function list(path: string): Listing {
    const pathBytes = Buffer.from(`${path}\0`);
    const descriptor = calls.openat(rootDescriptor, ptr(pathBytes), openDirectoryFlags, 0);
    if (descriptor < 0) return listPortably(absolute(root, path));
    try {
      const listing: Listing = [];
      for (;;) {
        const size = calls.getdents64(descriptor, bufferAddress, buffer.length);
        if (size < 0) return listPortably(absolute(root, path));
        if (size === 0) return listing;
        readEntries(buffer, size, listing, (name) => kindOf(descriptor, name));
      }
    } finally {
      calls.close(descriptor);
    }
  }

  // Some file systems do not say in the listing what an entry is.
  function kindOf(descriptor: number, nameOffset: number): EntryKind {
    const name = bufferAddress + nameOffset;
    const failed = calls.statx(descriptor, name, atNoFollow, statxBasic, rawAddress);
    return failed === 0 ? kindOfMode(raw[7]! & 0xffff) : "other";
  }

  function stat(paths: Uint8Array, count: number, out: Uint32Array): void {
    // A small array moves when its buffer is first asked for: ask before taking the address.
    assert(paths.buffer.byteLength > 0, "paths to stat");
    const address = ptr(paths);
    const flags = atNoFollow | statxDontSync;
    let start = 0;
    let offset = 0;
    for (let index = 0; index < count; index++, offset += statWords) {
      const end = paths.indexOf(0, start);
      if (calls.statx(rootDescriptor, address + start, flags, statxBasic, rawAddress) === 0) {
        unpackStatx(raw, out, offset);
      } else {
        const path = Buffer.from(paths.subarray(start, end)).toString();
        writeStat(absolute(root, path), out, offset);
      }
      start = end + 1;
    }
  }

  return { list, stat, [Symbol.dispose]: () => void calls.close(rootDescriptor) };
}

// struct statx has one layout on every architecture.
function unpackStatx(statx: Uint32Array, out: Uint32Array, offset: number): void {
  out[offset] = statx[7]! & 0xffff;
  out[offset + 1] = statx[10]!;
  out[offset + 2] = statx[11]!;
  out[offset + 3] = statx[8]!;
  out[offset + 4] = statx[9]!;
  out[offset + 5] = statx[28]!;
  out[offset + 6] = statx[30]!;
  out[offset + 7] = statx[24]!;
  out[offset + 8] = statx[26]!;
}

function readEntries(
  buffer: Buffer,
  size: number,
  listing: Listing,
  kindOf: (nameOffset: number) => EntryKind,
): void {
  for (let offset = 0; offset < size;) {
    const length = buffer[offset + 16]! | (buffer[offset + 17]! << 8);
    const type = buffer[offset + 18]!;
    const start = offset + 19;
    const end = buffer.indexOf(0, start);
    offset += length;
    const isDot = buffer[start] === 46;
    if (isDot && (end === start + 1 || (end === start + 2 && buffer[start + 1] === 46))) continue;
    const kind = type === 0 ? kindOf(start) : kindOfMode(type << 12);
    const name = buffer.toString("utf8", start, end);
    const isText = !name.includes("\ufffd") || isUtf8(buffer.subarray(start, end));
    listing.push({ name, isText, kind });
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function writeStat(path: string, out: Uint32Array, offset: number): void {
  try {
    packStat(lstatSync(path, { bigint: true }), out, offset);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    out.fill(0, offset, offset + statWords);
  }
}

// Whatever lists a directory would follow a symlink to one.
function refuseOther(path: string): void {
  if (lstatSync(path).isDirectory()) return;
  const error: NodeJS.ErrnoException = new Error(`ENOTDIR: not a directory, scandir '${path}'`);
  error.code = "ENOTDIR";
  throw error;
}

function absolute(root: string, path: string): string {
  return path === "." ? root : `${root}/${path}`;
}

function floorDivide(value: bigint, by: bigint): bigint {
  return value < 0n && value % by !== 0n ? value / by - 1n : value / by;
}
