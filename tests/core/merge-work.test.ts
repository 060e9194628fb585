/** Texts that are made to be hard to compare: what that costs is bounded, and the result right. */
import { expect, test } from "bun:test";
import { markConflict } from "#core/conflict-markers.ts";
import { newDiffWork, newMergeWork, type DiffWork } from "#core/diff-work.ts";
import { diffLines } from "#core/diff.ts";
import { mergeTexts } from "#core/merge-text.ts";
import { lineRange, splitLines } from "#core/text.ts";
import { seededRandom } from "../support/random.ts";

const mib = 1024 * 1024;
const { random, seed } = seededRandom();
const utf8 = (text: string) => new TextEncoder().encode(text);
const below = (count: number) => Math.floor(random() * count);

function randomLines(bytes: number, kinds: number): Uint8Array {
  const lines: string[] = [];
  for (let length = 0; length < bytes; length += lines.at(-1)!.length) {
    lines.push(`${below(kinds)}\n`);
  }
  return utf8(lines.join(""));
}

/** Compares, and makes the new text of the old one and the edits. */
function replayed(old: Uint8Array, next: Uint8Array, work: DiffWork): Uint8Array {
  const [before, after] = [splitLines(old), splitLines(next)];
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const edit of diffLines(before, after, { work })) {
    parts.push(lineRange(before, at, edit.oldStart));
    parts.push(lineRange(after, edit.newStart, edit.newStart + edit.newCount));
    at = edit.oldStart + edit.oldCount;
  }
  parts.push(lineRange(before, at, before.count));
  return Buffer.concat(parts);
}

const isSame = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
/** Distinct lines in a row, so that none is equal to one above it. */
const numbered = (count: number) => Array.from({ length: count }, (_, line) => `${line}\n`);

const hard: Record<string, () => [Uint8Array, Uint8Array]> = {
  "4 MiB of random short lines": () => [randomLines(4 * mib, 1000), randomLines(4 * mib, 1000)],
  "lines that all stand 64 times": () => {
    const lines = (order: (a: string, b: string) => number) => {
      return utf8([...numbered(4000), ...numbered(4000)].sort(order).join("").repeat(32));
    };
    return [lines(() => 0), lines((a, b) => (a < b ? 1 : -1))];
  },
  "the same lines backwards": () => {
    const lines = numbered(300_000);
    return [utf8(lines.join("")), utf8(lines.reverse().join(""))];
  },
  "two periods": () => [utf8("a\nb\nc\n".repeat(200_000)), utf8("a\nc\nb\nc\n".repeat(150_000))],
  "nothing but newlines": () => [utf8("\n".repeat(900_000)), utf8(`x${"\n".repeat(800_000)}`)],
};

for (const [name, make] of Object.entries(hard)) {
  test(`${name}: the work is bounded, and the edits lead from one text to the other`, () => {
    const [old, next] = make();
    const lines = splitLines(old).count + splitLines(next).count;
    const work = newMergeWork();
    expect([seed, isSame(replayed(old, next, work), next)]).toEqual([seed, true]);
    // What is under way when nothing is left is finished: at most some steps for each line.
    for (const left of Object.values(work)) expect(left).toBeGreaterThan(-80 * lines);
  }, 60_000);
}

test("with hardly any work the edits are coarse, but right", () => {
  for (let round = 0; round < 300; round++) {
    const old = randomLines(below(400), 1 + below(30));
    const next = randomLines(below(400), 1 + below(30));
    const work = { histogram: below(60), myers: below(30), slide: below(10) };
    const at = [seed, round, JSON.stringify(work)];
    expect([...at, isSame(replayed(old, next, work), next)]).toEqual([...at, true]);
  }
});

test("work is shared by the comparisons that are given it", () => {
  const work = newDiffWork();
  const [old, next] = [utf8("1\n2\n3\n"), utf8("1\nx\n3\n")];
  replayed(old, next, work);
  const once = work.histogram;
  replayed(old, next, work);
  expect(work.histogram).toBeLessThan(once);
  expect(once).toBeLessThan(newDiffWork().histogram);
});

test("hard texts and huge lines are merged, or are a conflict, the same way round and back", () => {
  const huge = "x".repeat(5 * mib);
  const texts: [string, string, string][] = [
    [`${huge}\n2\n3\n`, `${huge}\n2\nthree\n`, `${huge}y\n2\n3\n`],
    [huge, `${huge}y`, `y${huge}`],
  ];
  for (const [base, ours, theirs] of texts) {
    const merged = mergeTexts(utf8(base), utf8(ours), utf8(theirs));
    const mirrored = mergeTexts(utf8(base), utf8(theirs), utf8(ours));
    expect(Boolean(merged)).toBe(Boolean(mirrored));
    if (merged && mirrored) expect(isSame(merged, mirrored)).toBe(true);
  }
  const [base, ours, theirs] = [0, 0, 0].map(() => randomLines(mib, 500)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  expect(mergeTexts(base, ours, theirs)).toBeUndefined();
  const labels = { base: "base", ours: "ours", theirs: "theirs" };
  expect(markConflict({ base, ours, theirs }, labels)?.markerLength).toBe(7);
}, 60_000);
