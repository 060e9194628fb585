import { expect, test } from "bun:test";
import { hasMarkers, markConflict } from "#core/conflict-markers.ts";
import { mergeTexts } from "#core/merge-text.ts";
import { seededRandom } from "../support/random.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string) => new Uint8Array(Buffer.from(`\ufeff${text}`, "utf16le"));
const merge = (base: string, ours: string, theirs: string) => {
  const merged = mergeTexts(utf8(base), utf8(ours), utf8(theirs));
  return merged && Buffer.from(merged).toString();
};
const labels = { ours: "kxyz", base: "base", theirs: "main" };
const marked = (base: string, ours: string, theirs: string, showBase = true) => {
  const texts = { base: utf8(base), ours: utf8(ours), theirs: utf8(theirs) };
  return Buffer.from(markConflict(texts, labels, { showBase })!.bytes).toString();
};

test("edits in different places go together", () => {
  expect(merge("1\n2\n3\n4\n", "one\n2\n3\n4\n", "1\n2\n3\nfour\n")).toBe("one\n2\n3\nfour\n");
});

test("an edit that both sides made counts once", () => {
  expect(merge("1\n2\n3\n", "1\ntwo\n3\n", "1\ntwo\n3\n")).toBe("1\ntwo\n3\n");
  expect(merge("1\n2\n3\n4\n5\n", "1\nx\n3\n4\n5\n", "1\nx\n3\n4\nfive\n")).toBe(
    "1\nx\n3\n4\nfive\n",
  );
});

test("edits that overlap or touch are a conflict", () => {
  expect(merge("1\n2\n3\n", "1\na\n3\n", "1\nb\n3\n")).toBeUndefined();
  expect(merge("1\n2\n3\n4\n", "1\na\n3\n4\n", "1\n2\nb\n4\n")).toBeUndefined();
});

test("line endings, byte order marks and a missing final newline survive", () => {
  expect(merge("1\r\n2\r\n3\n4", "one\r\n2\r\n3\n4", "1\r\n2\r\n3\nfour")).toBe(
    "one\r\n2\r\n3\nfour",
  );
  expect(merge("\ufeff1\n2\n3\n", "\ufeff1\n2\n3\nfour\n", "\ufeffone\n2\n3\n")).toBe(
    "\ufeffone\n2\n3\nfour\n",
  );
});

test("UTF-16 and long lines merge as text", () => {
  const long = "x".repeat(200_000);
  expect(merge(`${long}\n2\n3\n`, `${long}\n2\nthree\n`, `${long}y\n2\n3\n`)).toBe(
    `${long}y\n2\nthree\n`,
  );
  const merged = mergeTexts(utf16("1\n2\n3\n"), utf16("один\n2\n3\n"), utf16("1\n2\n三\n"));
  expect(merged && Buffer.compare(merged, utf16("один\n2\n三\n"))).toBe(0);
});

test("binary files and texts of unlike encodings are a conflict", () => {
  expect(mergeTexts(utf8("a\0"), utf8("b\0"), utf8("c\0"))).toBeUndefined();
  expect(mergeTexts(utf8("a\n"), utf16("a\n"), utf8("b\n"))).toBeUndefined();
});

test("a conflict is shown with its base between its sides", () => {
  expect(marked("1\n2\n3\n", "1\nA\n3\n", "1\nB\n3\n")).toBe(
    "1\n<<<<<<< kxyz\nA\n||||||| base\n2\n=======\nB\n>>>>>>> main\n3\n",
  );
});

test("without a base, lines that both sides have are left out of the conflict", () => {
  expect(marked("", "a\nb\nc\nd\ne\nf\nours\n", "a\nb\nc\nd\ne\nf\ntheirs\n", false)).toBe(
    "a\nb\nc\nd\ne\nf\n<<<<<<< kxyz\nours\n=======\ntheirs\n>>>>>>> main\n",
  );
});

test("markers end as the lines around them do, and say when a final newline is missing", () => {
  expect(marked("1\r\n2", "1\r\nA", "1\r\nB\r\n")).toBe(
    "1\r\n<<<<<<< kxyz (no newline at end of file)\r\nA\r\n" +
      "||||||| base (no newline at end of file)\r\n2\r\n=======\r\nB\r\n>>>>>>> main\r\n",
  );
});

test("a file that is about markers gets longer ones", () => {
  const text = "<<<<<<< x\n=======\n>>>>>>> y\n";
  const texts = { base: utf8(text), ours: utf8(`${text}a\n`), theirs: utf8(`${text}b\n`) };
  const { bytes, markerLength } = markConflict(texts, labels)!;
  expect(markerLength).toBe(8);
  expect(hasMarkers(bytes, 8)).toBe(true);
  expect(hasMarkers(utf8(text), 8)).toBe(false);
});

test("UTF-16 conflicts are marked in UTF-16", () => {
  const texts = { base: utf16("1\n2\n"), ours: utf16("1\nA\n"), theirs: utf16("1\nB\n") };
  const { bytes, markerLength } = markConflict(texts, labels)!;
  expect(Buffer.from(bytes).toString("utf16le")).toBe(
    "\ufeff1\n<<<<<<< kxyz\nA\n||||||| base\n2\n=======\nB\n>>>>>>> main\n",
  );
  expect(hasMarkers(bytes, markerLength)).toBe(true);
});

test("merging is symmetric, and what one side did alone is what comes out", () => {
  const { random, seed } = seededRandom();
  for (let round = 0; round < 3000; round++) {
    const kinds = 2 + Math.floor(random() * 20);
    const line = () => `${Math.floor(random() * kinds)}\n`;
    const text = Array.from({ length: Math.floor(random() * 25) }, line);
    const edit = () => {
      const edited = [...text];
      for (let edits = Math.floor(random() * 4); edits > 0; edits--) {
        const added = Array.from({ length: Math.floor(random() * 3) }, line);
        edited.splice(
          Math.floor(random() * (edited.length + 1)),
          Math.floor(random() * 3),
          ...added,
        );
      }
      return edited.join("");
    };
    const [base, ours, theirs] = [text.join(""), edit(), edit()];
    const at = [seed, round];
    expect([...at, merge(base, ours, theirs)]).toEqual([...at, merge(base, theirs, ours)]);
    expect([...at, merge(base, ours, base)]).toEqual([...at, ours]);
    expect([...at, merge(base, base, theirs)]).toEqual([...at, theirs]);
    expect([...at, merge(base, ours, ours)]).toEqual([...at, ours]);
  }
});
