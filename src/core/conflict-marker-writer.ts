/** Writes texts with markers between them, in the encoding and with the line ends of the texts. */
import { lineRange, textEncoding, type Lines, type TextEncoding } from "./text.ts";

/** Each begins a part of a conflict, or ends it. */
export type Marker = "<" | "|" | "=" | ">";

const [less, bar, equals, greater] = Buffer.from("<|=>");
const markerLengthMin = 7;
const noNewline = " (no newline at end of file)";

/** Length of markers that no line of the texts could be taken for. */
export function markerLengthFor(texts: readonly Lines[]): number {
  let longest = 0;
  for (const lines of texts) {
    const unit = unitBytes(textEncoding(lines.bytes) ?? "bytes");
    for (let line = 0; line < lines.count; line++) {
      longest = Math.max(longest, markerRun(lines, line, unit));
    }
  }
  return longest < markerLengthMin ? markerLengthMin : longest + 1;
}

/** How often a line repeats the marker that it begins with. */
export function markerRun({ bytes, starts }: Lines, line: number, unit: number): number {
  const start = starts[line]!;
  const end = starts[line + 1]!;
  const at = (index: number): number => {
    const from = start + index * unit;
    if (from + unit > end) return 0;
    let code = bytes[from]!;
    for (let more = 1; more < unit; more++) code = Math.max(code, bytes[from + more]!);
    return code;
  };
  const first = at(0);
  if (first !== less && first !== bar && first !== equals && first !== greater) return 0;
  let count = 1;
  while (at(count) === first) count++;
  return count;
}

/** Bytes of a code unit. */
export function unitBytes(encoding: TextEncoding): number {
  if (encoding === "bytes") return 1;
  return encoding.startsWith("utf-16") ? 2 : 4;
}

/** Collects a text, part by part. */
export class MarkerWriter {
  readonly #length: number;
  readonly #encoding: TextEncoding;
  readonly #newline: string;
  readonly #parts: Uint8Array[] = [];

  constructor(texts: Iterable<Lines>, length: number) {
    this.#length = length;
    const sample = [...texts].find(({ count }) => count > 0);
    this.#encoding = (sample && textEncoding(sample.bytes)) ?? "bytes";
    // Markers end as the lines around them do.
    const unit = unitBytes(this.#encoding);
    const first = sample ? lineRange(sample, 0, 1) : new Uint8Array(0);
    const ending = first.subarray(first.length - 2 * unit, first.length - unit);
    this.#newline = Math.max(0, ...ending) === 13 ? "\r\n" : "\n";
  }

  /** Adds lines about which there is no conflict. */
  addLines(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  /** Adds a marker, and below it lines of one of the texts. */
  addPart(marker: Marker, label: string, bytes: Uint8Array, { bytes: whole }: Lines): void {
    const end = bytes.byteOffset + bytes.length - whole.byteOffset;
    const isLast = bytes.length > 0 && end === whole.length;
    const isOpen = isLast && !this.#endsInNewline(bytes);
    this.addMarker(marker, isOpen ? label + noNewline : label);
    this.#parts.push(bytes);
    if (isOpen) this.#parts.push(encodeText(this.#newline, this.#encoding));
  }

  addMarker(marker: Marker, label: string): void {
    const text = `${marker.repeat(this.#length)}${label === "" ? "" : ` ${label.trim()}`}`;
    this.#parts.push(encodeText(text + this.#newline, this.#encoding));
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #endsInNewline(bytes: Uint8Array): boolean {
    const newline = encodeText("\n", this.#encoding);
    return Buffer.compare(bytes.subarray(-newline.length), newline) === 0;
  }
}

function encodeText(text: string, encoding: TextEncoding): Uint8Array {
  const unit = unitBytes(encoding);
  if (unit === 1) return new TextEncoder().encode(text);
  if (unit === 2) {
    const bytes = Buffer.from(text, "utf16le");
    return encoding === "utf-16be" ? bytes.swap16() : bytes;
  }
  const bytes = Buffer.from(Uint32Array.from(text, (letter) => letter.codePointAt(0)!).buffer);
  return encoding === "utf-32be" ? bytes.swap32() : bytes;
}
