import { expect, test } from "bun:test";
import { decodeText, isText, lineRange, splitLines, textEncoding } from "#core/text.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const utf16le = (text: string) => new Uint8Array(Buffer.from(text, "utf16le"));
const utf16be = (text: string) => new Uint8Array(Buffer.from(text, "utf16le").swap16());

test("bytes without NUL are text, whatever their script or encoding", () => {
  expect(textEncoding(new Uint8Array(0))).toBe("bytes");
  expect(textEncoding(utf8("Привет, мир\n你好\nمرحبا\n"))).toBe("bytes");
  expect(textEncoding(new Uint8Array(Buffer.from("caf\xe9\n", "latin1")))).toBe("bytes");
});

test("a NUL makes a file binary", () => {
  expect(isText(utf8("abc\0def\n"))).toBe(false);
  expect(isText(new Uint8Array(64))).toBe(false);
  expect(isText(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0))).toBe(false);
});

test("a character across the sample's edge is no reason to call a file binary", () => {
  for (let lead = 8188; lead <= 8193; lead++) {
    expect(isText(utf8(`${"x".repeat(lead)}€€€\n`))).toBe(true);
    expect(isText(utf16le(`\ufeff${"x\n".repeat(lead / 4)}😀😀\n`))).toBe(true);
    expect(isText(utf16le(`${"x".repeat(lead % 7)}${"x\n".repeat(2045)}😀😀\n`))).toBe(true);
  }
});

test("UTF-16 and UTF-32 are text, with a byte order mark or without", () => {
  expect(textEncoding(utf16le("\ufeffone\ntwo\n"))).toBe("utf-16le");
  expect(textEncoding(utf16be("\ufeffone\ntwo\n"))).toBe("utf-16be");
  expect(textEncoding(utf16le("one line\r\nand Ωmega\r\n"))).toBe("utf-16le");
  expect(textEncoding(utf16be("one line\r\nand Ωmega\r\n"))).toBe("utf-16be");
  const utf32 = new Uint8Array(
    new Uint32Array([..."\ufeffa😀\n"].map((c) => c.codePointAt(0)!)).buffer,
  );
  expect(textEncoding(utf32)).toBe("utf-32le");
  expect(decodeText(utf32, "utf-32le")).toBe("\ufeffa😀\n");
});

test("tables of small numbers are not taken for UTF-16", () => {
  expect(isText(new Uint8Array(Uint16Array.from({ length: 500 }, (_, i) => i).buffer))).toBe(false);
  expect(isText(new Uint8Array(Uint32Array.from({ length: 500 }, (_, i) => i * 7).buffer))).toBe(
    false,
  );
});

test("lines keep their endings and add up to the file", () => {
  const bytes = utf8("a\r\nb\n\nlast");
  const lines = splitLines(bytes);
  const texts = Array.from({ length: lines.count }, (_, i) => {
    return decodeText(lineRange(lines, i, i + 1));
  });
  expect(texts).toEqual(["a\r\n", "b\n", "\n", "last"]);
  expect(splitLines(new Uint8Array(0)).count).toBe(0);
});

test("a newline's byte inside another UTF-16 character does not end a line", () => {
  const text = "a\u0a0a\u010a\nb\u0a00\n";
  for (const [bytes, encoding] of [
    [utf16le(text), "utf-16le"],
    [utf16be(text), "utf-16be"],
  ] as const) {
    const lines = splitLines(bytes, encoding);
    expect(lines.count).toBe(2);
    expect(decodeText(lineRange(lines, 0, 1), encoding)).toBe("a\u0a0a\u010a\n");
  }
});
