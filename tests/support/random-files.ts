/** Random files: few names, so that snapshots share paths and change their kinds. */
import { seededRandom } from "./random.ts";
import { snapshotOf, type Files, type Snapshot } from "./workspace.ts";

export type Random = {
  seed: number;
  /** A whole number from 0 up to but not including `below`. */
  next(below: number): number;
  pick<T>(values: readonly T[]): T;
};

/** Starts a sequence of whole numbers from a seed. */
export function randomFrom(seed: number): Random {
  const { random } = seededRandom(seed);
  const next = (below: number) => Math.floor(random() * below);
  return { seed, next, pick: (values) => values[next(values.length)]! };
}

// Names that some layer or other might stumble on; none folds to another.
const names = [
  ..."abcdefg",
  "with space",
  'quote"d',
  "it's",
  "new\nline",
  "tab\t",
  "-dash",
  "ünï",
  "日本語",
  "😀",
  "\u{10ffff}",
  "\ud7ff\ue000",
  "*",
  "[x]",
  "!bang",
  "#hash",
  "%41",
  "$HOME",
  "`x`",
  "trailing.c~",
  ".hidden",
  "__proto__",
  "constructor",
  "x".repeat(255),
];

/** Makes random files. */
export function randomFiles(random: Random, count: number): Files {
  const files: Files = Object.create(null);
  const directories = new Set<string>();
  for (let index = 0; index < count; index++) {
    const parts = Array.from({ length: 1 + random.next(4) }, () => random.pick(names));
    const parents = parts.slice(1).map((_, depth) => parts.slice(0, depth + 1).join("/"));
    const path = parts.join("/");
    if (directories.has(path) || parents.some((parent) => parent in files)) continue;
    for (const parent of parents) directories.add(parent);
    files[path] = randomFile(random);
  }
  return files;
}

function randomFile(random: Random): Files[string] {
  const kind = random.next(10);
  if (kind === 0) return { link: random.pick(["a", "./b", "nowhere/at/all", "日本語"]) };
  const text = random.pick(["", "one\n", "two\n", "three", `${random.next(50)}\n`]);
  return kind <= 2 ? { run: text } : text;
}

/** One of a sequence of snapshots; its source has the objects of all of them. */
export function seededSnapshot(seed: number, round: number): Snapshot {
  const [previous, next] = [round - 1, round].map((number) =>
    snapshotOf(randomFiles(randomFrom(seed * 1000 + number), 120)),
  ) as [Snapshot, Snapshot];
  return {
    ...next,
    async *fetch(wanted) {
      for (const object of wanted) {
        const source = next.has(object.hash) ? next : previous;
        yield* source.fetch([object]);
      }
    },
  };
}
