import { expect, test } from "bun:test";
import { formatRevision, parseRevision, type RevisionStep } from "#core/revision.ts";
import { seededRandom } from "../support/random.ts";

const { seed, random } = seededRandom();

test("a revision is a base and steps", () => {
  const parent: RevisionStep = { kind: "ancestor", distance: 1 };
  expect(parseRevision("main")).toEqual({ base: "main", steps: [] });
  expect(parseRevision("@")).toEqual({ base: "@", steps: [] });
  expect(parseRevision("@-")).toEqual({ base: "@", steps: [parent] });
  expect(parseRevision("@--")).toEqual({ base: "@", steps: [parent, parent] });
  expect(parseRevision("kx~12")).toEqual({
    base: "kx",
    steps: [{ kind: "ancestor", distance: 12 }],
  });
  expect(parseRevision("@@3")).toEqual({ base: "@", steps: [{ kind: "version", number: 3 }] });
  expect(parseRevision("a-b-@2~3")).toEqual({
    base: "a-b",
    steps: [parent, { kind: "version", number: 2 }, { kind: "ancestor", distance: 3 }],
  });
});

test("what is no revision is refused with an example", () => {
  for (const text of [
    "",
    "-",
    "~1",
    "a b",
    "@3",
    "a~",
    "a@",
    "a@b",
    "@x",
    "a~-1",
    "main\n",
    "a~1x",
  ]) {
    expect(() => parseRevision(text)).toThrow(
      expect.objectContaining({ code: "usage", hint: expect.stringContaining("kxyz-") }),
    );
  }
});

test(`what was written is read back (seed ${seed})`, () => {
  const bases = ["@", "main", "kxyz", "feature/a-b", "v1.2.0"];
  for (let round = 0; round < 500; round++) {
    const steps = Array.from({ length: Math.floor(random() * 4) }, (): RevisionStep => {
      const number = 1 + Math.floor(random() ** 4 * 1000);
      return random() < 0.5 ? { kind: "ancestor", distance: number } : { kind: "version", number };
    });
    const revision = { base: bases[Math.floor(random() * bases.length)]!, steps };
    expect(parseRevision(formatRevision(revision))).toEqual(revision);
  }
});

test("a long hostile text is answered at once", () => {
  expect(() => parseRevision(`${"a-".repeat(20_000)} `)).toThrow("is not a revision");
});
