import type { Lines } from "./text.ts";

/**
 * Gives every distinct line of two texts a number. A file made so that its lines' hashes collide
 * costs no more than another: past a bound of comparisons lines count as distinct.
 */
export function internLines(
  before: Lines,
  after: Lines,
): { oldIds: Int32Array; newIds: Int32Array; idCount: number } {
  const total = before.count + after.count;
  const size = 1 << (32 - Math.clz32(Math.max(16, total * 2)));
  const table: Table = {
    // Zero is an empty slot: a line's number stands there plus one.
    slots: new Int32Array(size),
    hashes: new Int32Array(total),
    texts: [],
    lineOf: new Int32Array(total),
    sideOf: new Uint8Array(total),
    count: 0,
    workLeft: total * 64 + before.bytes.length + after.bytes.length,
  };
  const oldIds = internSide(table, before, 0);
  const newIds = internSide(table, after, 1);
  return { oldIds, newIds, idCount: table.count };
}

type Table = {
  slots: Int32Array;
  hashes: Int32Array;
  texts: Lines[];
  lineOf: Int32Array;
  sideOf: Uint8Array;
  count: number;
  /** Steps that are left: slots looked at, and 16 bytes of lines compared. */
  workLeft: number;
};

function internSide(table: Table, lines: Lines, side: number): Int32Array {
  const { bytes, starts, count } = lines;
  const mask = table.slots.length - 1;
  const ids = new Int32Array(count);
  table.texts[side] = lines;
  for (let line = 0; line < count; line++) {
    const hash = hashLine(bytes, starts[line]!, starts[line + 1]!);
    let slot = (hash ^ (hash >>> 15)) & mask;
    let id = -1;
    for (let found = table.slots[slot]!; found !== 0; found = table.slots[slot]!) {
      if (table.workLeft-- <= 0) break;
      if (table.hashes[found - 1] === hash && isLine(table, found - 1, lines, line)) {
        id = found - 1;
        break;
      }
      slot = (slot + 1) & mask;
    }
    if (id < 0) {
      id = table.count++;
      if (table.slots[slot] === 0) table.slots[slot] = id + 1;
      table.hashes[id] = hash;
      table.lineOf[id] = line;
      table.sideOf[id] = side;
    }
    ids[line] = id;
  }
  return ids;
}

function hashLine(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return Math.imul(hash ^ (hash >>> 13), 0x5bd1e995);
}

function isLine(table: Table, id: number, lines: Lines, line: number): boolean {
  const known = table.texts[table.sideOf[id]!]!;
  const knownLine = table.lineOf[id]!;
  const start = known.starts[knownLine]!;
  const other = lines.starts[line]!;
  const length = lines.starts[line + 1]! - other;
  if (known.starts[knownLine + 1]! - start !== length) return false;
  table.workLeft -= length >> 4;
  for (let at = 0; at < length; at++) {
    if (known.bytes[start + at] !== lines.bytes[other + at]) return false;
  }
  return true;
}
