/**
 * What counts as text, and where its lines are. Lines keep their bytes, endings included, so that
 * joining them gives the file back.
 */

/** How a text's code units lie in its bytes: "bytes" is UTF-8 and whatever else has no NUL. */
export type TextEncoding = "bytes" | "utf-16le" | "utf-16be" | "utf-32le" | "utf-32be";

/** A text cut into lines: line `i` is `bytes` from `starts[i]` to `starts[i + 1]`. */
export type Lines = { bytes: Uint8Array; starts: Int32Array; count: number };

// Where git looks for a NUL, too: what is text to one should be text to the other.
const sampleBytes = 8192;
const newline = 10;

const byteOrderMarks: [TextEncoding, number[]][] = [
  // UTF-32's begins like UTF-16's: it must be asked for first.
  ["utf-32le", [0xff, 0xfe, 0, 0]],
  ["utf-32be", [0, 0, 0xfe, 0xff]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];

/** Tells how a file's text is encoded, or nothing when the file is binary. */
export function textEncoding(bytes: Uint8Array): TextEncoding | undefined {
  for (const [encoding, mark] of byteOrderMarks) {
    if (mark.every((byte, index) => bytes[index] === byte)) {
      return bytes.length % unitBytes(encoding) === 0 ? encoding : undefined;
    }
  }
  const sample = bytes.subarray(0, sampleBytes);
  if (!sample.includes(0)) return "bytes";
  const guesses: TextEncoding[] = ["utf-32le", "utf-32be", "utf-16le", "utf-16be"];
  return guesses.find((encoding) => {
    return bytes.length % unitBytes(encoding) === 0 && readsAsText(sample, encoding);
  });
}

/** Tells whether a file is text rather than binary. */
export function isText(bytes: Uint8Array): boolean {
  return textEncoding(bytes) !== undefined;
}

/** Finds the lines of a text; what follows the last newline is a line of its own. */
export function splitLines(bytes: Uint8Array, encoding: TextEncoding = "bytes"): Lines {
  const unit = unitBytes(encoding);
  const inUnit = encoding.endsWith("be") ? unit - 1 : 0;
  let starts = new Int32Array(Math.max(16, bytes.length >> 5));
  let count = 0;
  for (let at = 0; at < bytes.length;) {
    if (count + 1 >= starts.length) {
      const larger = new Int32Array(starts.length * 2);
      larger.set(starts);
      starts = larger;
    }
    starts[count++] = at;
    at = nextLine(bytes, at, unit, inUnit);
  }
  starts[count] = bytes.length;
  return { bytes, starts: starts.subarray(0, count + 1), count };
}

/** Tells whether a text has more lines than `linesMax`, without listing them. */
export function hasMoreLines(bytes: Uint8Array, linesMax: number): boolean {
  if (bytes.length <= linesMax) return false;
  let count = 0;
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) {
    if (++count > linesMax) return true;
  }
  return false;
}

/** Bytes of the lines from `start` up to, not including, `end`. */
export function lineRange(lines: Lines, start: number, end: number): Uint8Array {
  return lines.bytes.subarray(lines.starts[start], lines.starts[end]);
}

/** Decodes a text to a string, for people to read: undecodable bytes become U+FFFD. */
export function decodeText(bytes: Uint8Array, encoding: TextEncoding = "bytes"): string {
  if (encoding === "bytes") return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = encoding.endsWith("le");
  const unit = unitBytes(encoding);
  let text = "";
  for (let at = 0; at + unit <= bytes.length; at += unit) {
    if (unit === 2) {
      text += String.fromCharCode(view.getUint16(at, little));
    } else {
      const point = view.getUint32(at, little);
      text += point <= 0x10ffff ? String.fromCodePoint(point) : "\ufffd";
    }
  }
  return text.toWellFormed();
}

function unitBytes(encoding: TextEncoding): number {
  if (encoding === "bytes") return 1;
  return encoding.startsWith("utf-16") ? 2 : 4;
}

function nextLine(bytes: Uint8Array, from: number, unit: number, inUnit: number): number {
  for (let at = from; ;) {
    const found = bytes.indexOf(newline, at);
    if (found < 0) return bytes.length;
    if (unit === 1) return found + 1;
    const start = found - (found % unit);
    const end = start + unit;
    let sum = 0;
    for (let index = start; index < end; index++) sum += bytes[index] ?? 0;
    if (found % unit === inUnit && sum === newline && end <= bytes.length) return end;
    at = found + 1;
  }
}

/**
 * Without a byte order mark only strong evidence counts: every unit is an assigned character that
 * text is made of, none is a control, and there is something that separates words or lines.
 */
function readsAsText(sample: Uint8Array, encoding: TextEncoding): boolean {
  const unit = unitBytes(encoding);
  let text = decodeText(sample.subarray(0, sample.length - (sample.length % unit)), encoding);
  // The sample may have been cut between the halves of a surrogate pair.
  if (unit === 2 && sample.length === sampleBytes) text = text.replace(/\ufffd$/, "");
  if (text.length < 4 || !/[\n ]/.test(text)) return false;
  if (/\ufffd|[\p{Cn}\p{Co}]|(?![\t\n\f\r])\p{Cc}/u.test(text)) return false;
  // Tables of numbers read as rare scripts; prose in one of those comes with a mark.
  const common = text.match(
    /[\u0009-\u024f\u0370-\u06ff\u0e00-\u0e7f\u3000-\u9fff\uac00-\ud7af]/gu,
  );
  return (common?.length ?? 0) * 10 >= [...text].length * 9;
}
