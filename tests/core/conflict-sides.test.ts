import { expect, test } from "bun:test";
import { hasMarkers } from "#core/conflict-markers.ts";
import { markSides } from "#core/conflict-sides.ts";
import { seededRandom } from "../support/random.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const labelled = (texts: Record<string, string>) => {
  return Object.entries(texts).map(([label, text]) => ({ label, bytes: utf8(text) }));
};
const marked = (sides: Record<string, string>, bases: Record<string, string>) => {
  return Buffer.from(markSides(labelled(sides), labelled(bases))!.bytes).toString();
};

test("every side is named, and the bases stand between them", () => {
  const sides = { one: "a\n1\nz\n", two: "a\n2\nz\n", three: "a\n3\nz\n" };
  expect(marked(sides, { "base 1": "a\n0\nz\n", "base 2": "a\n00\nz\n" })).toBe(
    "a\n<<<<<<< one\n1\n||||||| base 1\n0\n======= two\n2\n||||||| base 2\n00\n" +
      "======= three\n3\n>>>>>>> 3 sides\nz\n",
  );
});

test("where only two sides disagree only they stand in the conflict", () => {
  const base = "1\n-\n2\n-\n3\n";
  const sides = { one: "A\n-\n2\n-\nC\n", two: "B\n-\n2\n-\n3\n", three: "1\n-\nT\n-\n3\n" };
  expect(marked(sides, { "base 1": base, "base 2": base })).toBe(
    "<<<<<<< one\nA\n||||||| base 2\n1\n=======\nB\n>>>>>>> two\n-\nT\n-\nC\n",
  );
});

test("sides that agree somewhere are no conflict there", () => {
  const sides = { one: "same\n-\n1\n", two: "same\n-\n2\n", three: "same\n-\n3\n" };
  const text = marked(sides, { "base 1": "old\n-\n0\n", "base 2": "older\n-\n0\n" });
  expect(text).toStartWith("same\n-\n<<<<<<< one\n");
});

test("absent bases are empty, and a missing final newline is told", () => {
  expect(marked({ one: "1", two: "2\n", three: "3\n" }, { "base 1": "", "base 2": "" })).toBe(
    "<<<<<<< one (no newline at end of file)\n1\n||||||| base 1\n======= two\n2\n" +
      "||||||| base 2\n======= three\n3\n>>>>>>> 3 sides\n",
  );
});

test("binary files and unlike encodings are not written as text", () => {
  const sides = labelled({ one: "1\n", two: "2\0", three: "3\n" });
  expect(markSides(sides, labelled({ a: "", b: "" }))).toBeUndefined();
});

test("no line of a side that nobody else has is lost", () => {
  const { random, seed } = seededRandom();
  const below = (count: number) => Math.floor(random() * count);
  for (let round = 0; round < 2000; round++) {
    let unique = 0;
    const base = Array.from({ length: below(12) }, () => `${below(6)}\n`);
    const edit = () => {
      const lines = [...base];
      for (let edits = below(4); edits > 0; edits--) {
        lines.splice(below(lines.length + 1), below(3), `line ${unique++}\n`);
      }
      return lines;
    };
    const count = 3 + below(3);
    const sides = Array.from({ length: count }, edit);
    const bases = Array.from({ length: count - 1 }, () => (below(3) === 0 ? edit() : base));
    const spell = (lists: string[][]) => {
      return lists.map((lines, index) => ({ label: `term ${index}`, bytes: utf8(lines.join("")) }));
    };
    const { bytes, markerLength } = markSides(spell(sides), spell(bases))!;
    const text = Buffer.from(bytes).toString();
    for (const line of sides.flat()) {
      const isInBase = bases.some((lines) => lines.includes(line));
      if (!isInBase && !text.includes(line))
        throw new Error(`seed ${seed}, round ${round}: ${line}`);
    }
    const isConflict = text.split("\n").some((line) => line.startsWith("<<<<<<< "));
    expect([seed, round, hasMarkers(bytes, markerLength)]).toEqual([seed, round, isConflict]);
  }
});
