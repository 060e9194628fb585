import { expect, test } from "bun:test";
import type { ConflictTerm } from "#core/conflict.ts";
import { hashKey, type Hash } from "#core/hash.ts";
import { mergeTrees } from "#core/merge.ts";
import { decodeTree, encodeTree, type Entry } from "#core/tree.ts";
import { seededRandom } from "../support/random.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

const triples = 10_000;
const names = ["a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "e/a", "e", "f/a"];

/** A snapshot's files as lists of lines; every line ever written is unique. */
type Model = Map<string, string[]>;

class Generator {
  readonly random: () => number;
  #lines = 0;

  constructor(random: () => number) {
    this.random = random;
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  base(): Model {
    const model: Model = new Map();
    for (let files = this.below(6); files > 0; files--) {
      this.#put(model, names[this.below(names.length)]!, this.#newLines(1 + this.below(12)));
    }
    return model;
  }

  edited(base: Model): Model {
    const model: Model = new Map([...base].map(([path, lines]) => [path, [...lines]]));
    for (let edits = this.below(4); edits > 0; edits--) {
      const paths = [...model.keys()];
      const path = paths[this.below(paths.length)];
      const kind = this.below(10);
      if (path === undefined || kind === 0) {
        this.#put(model, names[this.below(names.length)]!, this.#newLines(1 + this.below(6)));
      } else if (kind === 1) {
        model.delete(path);
      } else if (kind <= 3) {
        const lines = model.get(path)!;
        model.delete(path);
        this.#put(model, names[this.below(names.length)]!, lines);
      } else if (kind === 4 && path.includes("/")) {
        this.#moveDirectory(model, path.slice(0, path.lastIndexOf("/")));
      } else {
        const lines = model.get(path)!;
        lines.splice(this.below(lines.length + 1), this.below(3), ...this.#newLines(this.below(3)));
      }
    }
    return model;
  }

  #newLines(count: number): string[] {
    return Array.from({ length: count }, () => `line ${this.#lines++} of some length\n`);
  }

  #moveDirectory(model: Model, directory: string): void {
    for (const [path, lines] of [...model]) {
      if (!path.startsWith(`${directory}/`)) continue;
      model.delete(path);
      this.#put(model, `g${path.slice(directory.length)}`, lines);
    }
  }

  /** Puts a file where no file or directory is in its way, or nowhere. */
  #put(model: Model, path: string, lines: string[]): void {
    for (const other of model.keys()) {
      if (other === path || other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) {
        model.delete(other);
      }
    }
    model.set(path, lines);
  }
}

function snapshotOf(model: Model): Snapshot {
  return Object.fromEntries([...model].map(([path, lines]) => [path, lines.join("")]));
}

/** What a tree holds, whatever the order of its conflicts' sides. */
function spell(store: MemoryStore, entry: Entry | ConflictTerm | undefined): unknown {
  if (entry === undefined) return "nothing";
  const path = "path" in entry ? entry.path : undefined;
  if (entry.kind === "symlink") return [entry.target, path];
  if (entry.kind === "file") return [textOf(store, entry.hash), entry.executable, path];
  if (entry.kind === "directory") {
    const entries = store.trees.get(hashKey(entry.hash))!;
    return entries.map((below) => [below.name, spell(store, below)]);
  }
  const sorted = (terms: (ConflictTerm | undefined)[]) => {
    return terms.map((term) => JSON.stringify(spell(store, term))).sort();
  };
  return { sides: sorted(entry.sides), bases: sorted(entry.bases) };
}

function textOf(store: MemoryStore, hash: Hash): string {
  return Buffer.from(store.files.get(hashKey(hash))!).toString();
}

function spellRoot(store: MemoryStore, root: Hash): string {
  return JSON.stringify(spell(store, { kind: "directory", hash: root }));
}

async function merge(store: MemoryStore, base: Hash, ours: Hash, theirs: Hash) {
  const result = await mergeTrees(store, base, ours, theirs);
  store.addEncoded(result.trees);
  for (const { encoded } of result.trees) expect(encodeTree(decodeTree(encoded))).toEqual(encoded);
  return result;
}

/** Merges with what did not change, and over the conflicts that a merge has made. */
async function checkAlgebra(
  store: MemoryStore,
  base: Hash,
  ours: Hash,
  theirs: Hash,
  merged: Hash,
): Promise<void> {
  const isRoot = async (wanted: Hash, roots: [Hash, Hash, Hash]) => {
    expect(hashKey((await merge(store, ...roots)).root)).toBe(hashKey(wanted));
  };
  await isRoot(ours, [base, ours, base]);
  await isRoot(theirs, [base, base, theirs]);
  await isRoot(ours, [base, ours, ours]);
  const again = await merge(store, ours, merged, theirs);
  const resolved = await merge(store, merged, again.root, ours);
  await isRoot(resolved.root, [merged, resolved.root, merged]);
}

/** Lines that must be in the result: both sides have them, or one side wrote them. */
function* linesToKeep(base: Model, ours: Model, theirs: Model): Iterable<string> {
  const lines = [base, ours, theirs].map((model) => new Set([...model.values()].flat()));
  for (const line of new Set([...lines[1]!, ...lines[2]!])) {
    const isInBoth = lines[1]!.has(line) && lines[2]!.has(line);
    if (isInBoth || !lines[0]!.has(line)) yield line;
  }
}

test(`${triples} random merges are symmetric, and no line is lost`, async () => {
  const { random, seed } = seededRandom();
  const generator = new Generator(random);
  let clean = 0;
  for (let round = 0; round < triples; round++) {
    const models = [generator.base()];
    models.push(generator.edited(models[0]!), generator.edited(models[0]!));
    const store = new MemoryStore();
    const [base, ours, theirs] = models.map((model) => store.add(snapshotOf(model))) as [
      Hash,
      Hash,
      Hash,
    ];
    const where = `seed ${seed}, round ${round}`;
    try {
      const result = await merge(store, base, ours, theirs);
      const merged = spellRoot(store, result.root);
      const mirrored = await merge(store, base, theirs, ours);
      expect(spellRoot(store, mirrored.root)).toBe(merged);
      expect(mirrored.conflicts).toEqual(result.conflicts);
      for (const line of linesToKeep(models[0]!, models[1]!, models[2]!)) {
        if (!merged.includes(line.trimEnd())) throw new Error(`lost: ${line}`);
      }
      if (result.conflicts.length === 0) clean++;
      if (round % 8 === 0) await checkAlgebra(store, base, ours, theirs, result.root);
    } catch (cause) {
      const spelled = models.map((model) => JSON.stringify(snapshotOf(model))).join("\n");
      throw new Error(`${where}\n${spelled}`, { cause });
    }
  }
  expect(clean).toBeGreaterThan(triples / 4);
}, 120_000);
