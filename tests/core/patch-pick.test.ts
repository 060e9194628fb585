import { expect, test } from "bun:test";

import type { PatchPair } from "#core/patch.ts";
import { applyHunks, listHunks } from "#core/patch-pick.ts";
import { seededRandom } from "../support/random.ts";

function pairOf(before: string, after: string): PatchPair {
  const file = (text: string) => ({ path: "f", mode: "100644" as const, bytes: Buffer.from(text) });
  return { old: file(before), new: file(after) };
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test("all hunks make the new text, and none the old one", () => {
  const { seed, random } = seededRandom();
  for (let round = 0; round < 200; round++) {
    const lines = Array.from({ length: 40 }, (_, line) => `${line}\n`);
    const edited = lines.map((line) =>
      random() < 0.15 ? (random() < 0.5 ? "" : `*${line}`) : line,
    );
    const [before, after] = [
      lines.join(""),
      edited.join("").slice(0, random() < 0.5 ? -1 : undefined),
    ];
    const pair = pairOf(before, after);
    const hunks = listHunks(pair)!;
    expect(textOf(applyHunks(pair, hunks)), `seed ${seed}`).toBe(after);
    expect(textOf(applyHunks(pair, [])), `seed ${seed}`).toBe(before);
    // What is picked and what is left make up the whole.
    const some = hunks.filter(() => random() < 0.5);
    const half = pairOf(textOf(applyHunks(pair, some)), after);
    expect(textOf(applyHunks(half, listHunks(half)!)), `seed ${seed}`).toBe(after);
  }
});

test("one hunk of two is done alone", () => {
  const before = Array.from({ length: 20 }, (_, line) => `${line}\n`).join("");
  const after = before.replace("1\n", "one\n").replace("18\n", "eighteen\n");
  const pair = pairOf(before, after);
  const [first, second] = listHunks(pair)!;
  expect(textOf(first!.shown)).toStartWith("@@ -1,5 +1,5 @@\n 0\n-1\n+one\n");
  expect(textOf(applyHunks(pair, [second!]))).toBe(before.replace("18\n", "eighteen\n"));
});

test("what is no text, or new, has no hunks", () => {
  expect(listHunks(pairOf("a\0b", "a\0c"))).toBeUndefined();
  expect(listHunks({ new: pairOf("", "new\n").new })).toBeUndefined();
});
