import { expect, test } from "bun:test";
import {
  addConflicts,
  equalConflicts,
  fromConflict,
  isSimplified,
  simplifyConflict,
  toConflict,
  type Conflict,
  type ConflictTerm,
} from "#core/conflict.ts";
import { PogoError } from "#core/errors.ts";
import { sha256 } from "#core/hash.ts";
import { decodeTree, encodeTree, equalEntries, type ConflictEntry } from "#core/tree.ts";
import { seededRandom } from "../support/random.ts";

const file = (text: string, path?: string): ConflictTerm => {
  const bytes = new TextEncoder().encode(text);
  const term = {
    kind: "file",
    executable: false,
    size: bytes.length,
    hash: sha256(bytes),
  } as const;
  return path === undefined ? term : { ...term, path };
};
const [a, b, c, d] = ["a", "b", "c", "d"].map((text) => file(text)) as ConflictTerm[];

test("a side cancels against a base that equals it", () => {
  expect(simplifyConflict({ sides: [a, b], bases: [a] })).toEqual({ sides: [b], bases: [] });
  expect(simplifyConflict({ sides: [a, undefined], bases: [a] })).toEqual({
    sides: [undefined],
    bases: [],
  });
  const open = { sides: [a, b], bases: [c] };
  expect(simplifyConflict(open)).toEqual(open);
});

test("a change that several sides made alike counts once", () => {
  expect(simplifyConflict({ sides: [a, a], bases: [b] })).toEqual({ sides: [a], bases: [] });
  expect(simplifyConflict({ sides: [a, a, c], bases: [b, b] })).toEqual({
    sides: [a, c],
    bases: [b],
  });
  expect(simplifyConflict({ sides: [a, a, a], bases: [b, c] })).toEqual({ sides: [a], bases: [] });
});

test("conflicts that differ in the order of their terms are the same change", () => {
  const ours = { sides: [a, b, undefined], bases: [c, d] };
  const theirs = { sides: [undefined, a, b], bases: [d, c] };
  const base = toConflict(fromConflict("x", { sides: [file("base")], bases: [] }));
  expect(addConflicts(base, ours, theirs)).toEqual(ours);
  expect(addConflicts(theirs, base, ours)).toEqual(base);
  expect(addConflicts(theirs, ours, base)).toEqual(base);
});

test("a term that stood elsewhere equals none that stands here", () => {
  const moved = { sides: [a, undefined], bases: [file("a", "old/path")] };
  expect(simplifyConflict(moved)).toEqual(moved);
});

test("a resolved conflict stays resolved when it is merged again", () => {
  const conflict: Conflict = { sides: [a, b], bases: [c] };
  const resolved = toConflict(fromConflict("x", { sides: [d], bases: [] }));
  // One side resolves the conflict while the other leaves it as it was.
  expect(addConflicts(conflict, resolved, conflict)).toEqual({ sides: [d], bases: [] });
  expect(addConflicts(conflict, conflict, resolved)).toEqual({ sides: [d], bases: [] });
  // Both resolve it alike.
  expect(addConflicts(conflict, resolved, resolved)).toEqual({ sides: [d], bases: [] });
});

test("undoing one side's change resolves a conflict in favour of the other", () => {
  const conflict: Conflict = { sides: [a, b], bases: [c] };
  const back = addConflicts({ sides: [b], bases: [] }, conflict, { sides: [c], bases: [] });
  expect(back).toEqual({ sides: [a], bases: [] });
});

test("adding conflicts is symmetric up to the order of sides", () => {
  const { random, seed } = seededRandom();
  const terms = [a, b, c, d, undefined];
  const pick = () => terms[Math.floor(random() * terms.length)];
  const random1 = (): Conflict => {
    const bases = Array.from({ length: Math.floor(random() * 3) }, pick);
    return simplifyConflict({ sides: [...bases.map(pick), pick()], bases });
  };
  const sorted = ({ sides, bases }: Conflict) => {
    const key = (term: ConflictTerm | undefined) => String(terms.indexOf(term));
    return [sides.map(key).sort().join(), bases.map(key).sort().join()];
  };
  for (let round = 0; round < 3000; round++) {
    const [base, ours, theirs] = [random1(), random1(), random1()];
    const one = addConflicts(base, ours, theirs);
    const two = addConflicts(base, theirs, ours);
    expect([seed, round, ...sorted(one)]).toEqual([seed, round, ...sorted(two)]);
    expect(one.bases.length === 0 || isSimplified(one)).toBe(true);
    expect(equalConflicts(simplifyConflict(one), one)).toBe(true);
    const unchanged = addConflicts(base, base, theirs);
    expect([seed, round, ...sorted(unchanged)]).toEqual([seed, round, ...sorted(theirs)]);
  }
});

test("a conflict survives the encoding of its tree", () => {
  const entry: ConflictEntry = {
    kind: "conflict",
    name: "x",
    sides: [
      a,
      { kind: "symlink", target: "t" },
      { kind: "directory", hash: sha256(new Uint8Array(1)) },
    ],
    bases: [undefined, file("b", "old/path")],
  };
  const [read] = decodeTree(encodeTree([entry]));
  expect(read).toEqual(entry);
  expect(equalEntries(read!, entry)).toBe(true);
  expect(equalEntries({ ...entry, sides: entry.sides.toReversed() }, entry)).toBe(false);
});

test("a conflict that can be simplified is neither written nor read", () => {
  const entry: ConflictEntry = { kind: "conflict", name: "x", sides: [a, b], bases: [c] };
  expect(() => encodeTree([{ ...entry, bases: [a] }])).toThrow("can be simplified");
  const bytes = encodeTree([entry]);
  const first = Buffer.from(bytes).indexOf(sha256(new TextEncoder().encode("c")));
  bytes.set(sha256(new TextEncoder().encode("a")), first);
  expect(() => decodeTree(bytes)).toThrow(PogoError);
});

test("any cut or changed byte in a conflict is refused or read as something else", () => {
  const entry: ConflictEntry = {
    kind: "conflict",
    name: "x",
    sides: [a, undefined],
    bases: [file("b", "old/path")],
  };
  const bytes = encodeTree([entry]);
  for (let length = 1; length < bytes.length; length++) {
    expect(() => decodeTree(bytes.subarray(0, length))).toThrow(PogoError);
  }
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0, 1, 8, 9, 0x7f, 0x80, 0xff]) {
      const changed = Uint8Array.from(bytes);
      if (changed[at] === value) continue;
      changed[at] = value;
      try {
        expect(encodeTree(decodeTree(changed))).toEqual(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(PogoError);
      }
    }
  }
});
