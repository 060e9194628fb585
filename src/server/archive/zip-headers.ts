/**
 * Records of a ZIP file (APPNOTE 6.3.10), little-endian. What needs more than 32 bits has its place
 * in an extra field, and 0xffffffff stands where it would have been.
 */
export type ZipMember = {
  path: string;
  /** 0 stored, 8 deflated. */
  method: number;
  crc: number;
  size: number;
  compressed: number;
  /** What is written first is not known before the end: sizes and checksum follow the contents. */
  isStreamed: boolean;
  /** Streamed, and perhaps too large for 32 bits: it was said at its beginning. */
  isLarge: boolean;
};

/** Where members are and what they are: the central directory has it. */
export type ZipPlace = { offset: number; mode: number };

const max16 = 0xffff;
const max32 = 0xffffffff;
const utf8 = 0x0800;
const streamed = 0x0008;
const madeOnUnix = 3 << 8;
const versionPlain = 20;
const version64 = 45;

/** What stands before a member's contents. */
export function localHeader(member: ZipMember, time: Date): Uint8Array {
  const { path, isStreamed, isLarge } = member;
  const name = Buffer.from(path);
  const sizes = isLarge ? extra64([0, 0]) : noBytes;
  const extra = Buffer.concat([sizes, extraTime(time)]);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(isLarge ? version64 : versionPlain, 4);
  writeCommon(header, 6, member, time);
  header.writeUInt32LE(isStreamed ? 0 : member.crc, 14);
  header.writeUInt32LE(isLarge ? max32 : isStreamed ? 0 : member.compressed, 18);
  header.writeUInt32LE(isLarge ? max32 : isStreamed ? 0 : member.size, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

/** What stands after the contents of a member that was streamed. */
export function dataDescriptor({ crc, compressed, size, isLarge }: ZipMember): Uint8Array {
  const descriptor = Buffer.alloc(isLarge ? 24 : 16);
  descriptor.writeUInt32LE(0x08074b50, 0);
  descriptor.writeUInt32LE(crc, 4);
  if (isLarge) {
    descriptor.writeBigUInt64LE(BigInt(compressed), 8);
    descriptor.writeBigUInt64LE(BigInt(size), 16);
  } else {
    descriptor.writeUInt32LE(compressed, 8);
    descriptor.writeUInt32LE(size, 12);
  }
  return descriptor;
}

/** A member as the directory at the end has it. */
export function centralHeader(
  member: ZipMember,
  { offset, mode }: ZipPlace,
  time: Date,
): Uint8Array {
  const { path, crc, size, compressed, isLarge } = member;
  const name = Buffer.from(path);
  const hasLargeSizes = isLarge || size >= max32 || compressed >= max32;
  const large = [
    ...(hasLargeSizes ? [size, compressed] : []),
    ...(offset >= max32 ? [offset] : []),
  ];
  const sizes = large.length > 0 ? extra64(large) : noBytes;
  const extra = Buffer.concat([sizes, extraTime(time)]);
  const header = Buffer.alloc(46);
  const version = large.length > 0 ? version64 : versionPlain;
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(madeOnUnix | version, 4);
  header.writeUInt16LE(version, 6);
  writeCommon(header, 8, member, time);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(hasLargeSizes ? max32 : compressed, 20);
  header.writeUInt32LE(hasLargeSizes ? max32 : size, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  // Type and permissions of the file, as stat has them.
  header.writeUInt32LE(mode * 2 ** 16, 38);
  header.writeUInt32LE(Math.min(offset, max32), 42);
  return Buffer.concat([header, name, extra]);
}

/** What ends the archive. */
export function endRecords(directory: {
  count: number;
  offset: number;
  bytes: number;
}): Uint8Array {
  const { count, offset, bytes } = directory;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, max16), 8);
  end.writeUInt16LE(Math.min(count, max16), 10);
  end.writeUInt32LE(Math.min(bytes, max32), 12);
  end.writeUInt32LE(Math.min(offset, max32), 16);
  if (count < max16 && bytes < max32 && offset < max32) return end;
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(44n, 4);
  end64.writeUInt16LE(madeOnUnix | version64, 12);
  end64.writeUInt16LE(version64, 14);
  end64.writeBigUInt64LE(BigInt(count), 24);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(bytes), 40);
  end64.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + bytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end64, locator, end]);
}

const noBytes = Buffer.alloc(0);

/** Flags, method, and the time as DOS has it, in two seconds from 1980 on. */
function writeCommon(header: Buffer, at: number, member: ZipMember, time: Date): void {
  header.writeUInt16LE(utf8 | (member.isStreamed ? streamed : 0), at);
  header.writeUInt16LE(member.method, at + 2);
  const year = Math.min(Math.max(time.getUTCFullYear(), 1980), 2107) - 1980;
  const days = (year << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate();
  const seconds = time.getUTCSeconds() >> 1;
  header.writeUInt16LE((time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | seconds, at + 4);
  header.writeUInt16LE(days, at + 6);
}

/** The time in seconds since 1970, which knows its zone, as far as 31 bits go. */
function extraTime(time: Date): Buffer {
  const seconds = Math.floor(time.getTime() / 1000);
  if (seconds < 0 || seconds > 0x7fffffff) return noBytes;
  const extra = Buffer.alloc(9);
  extra.writeUInt16LE(0x5455, 0);
  extra.writeUInt16LE(5, 2);
  extra.writeUInt8(1, 4);
  extra.writeUInt32LE(seconds, 5);
  return extra;
}

function extra64(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + values.length * 8);
  extra.writeUInt16LE(0x0001, 0);
  extra.writeUInt16LE(values.length * 8, 2);
  values.forEach((value, index) => extra.writeBigUInt64LE(BigInt(value), 4 + index * 8));
  return extra;
}
