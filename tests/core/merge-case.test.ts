/** Merges in repositories that do not allow names that differ in case alone. */
import { describe, expect, test } from "bun:test";
import type { ConflictTerm } from "#core/conflict.ts";
import { hashKey, type Hash } from "#core/hash.ts";
import { mergeTrees } from "#core/merge.ts";
import { foldName } from "#core/path.ts";
import { decodeTree, encodeTree, type Entry } from "#core/tree.ts";
import { seededRandom } from "../support/random.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

const rounds = 3000;

/** Spells an entry, whatever the order of a conflict's sides. */
function spell(store: MemoryStore, entry: Entry | ConflictTerm | undefined): unknown {
  if (entry === undefined) return "nothing";
  const path = "path" in entry && entry.path ? ` at ${entry.path}` : "";
  if (entry.kind === "symlink") return `-> ${entry.target}${path}`;
  if (entry.kind === "file") {
    return `${Buffer.from(store.files.get(hashKey(entry.hash))!).toString()}${path}`;
  }
  if (entry.kind === "directory") {
    const entries = store.trees.get(hashKey(entry.hash))!;
    return Object.fromEntries([
      ...entries.map((below) => [below.name, spell(store, below)]),
      ...(path ? [["", path]] : []),
    ]);
  }
  const sorted = (terms: (ConflictTerm | undefined)[]) => {
    return terms.map((term) => spell(store, term)).sort((a, b) => (json(a) < json(b) ? -1 : 1));
  };
  return { sides: sorted(entry.sides), bases: sorted(entry.bases) };
}

const json = (value: unknown) => JSON.stringify(value);

async function mergeRoots(store: MemoryStore, base: Hash, ours: Hash, theirs: Hash) {
  const result = await mergeTrees(store, base, ours, theirs, { caseSensitive: false });
  for (const { encoded } of result.trees) expect(encodeTree(decodeTree(encoded))).toEqual(encoded);
  store.addEncoded(result.trees);
  return result;
}

async function merged(base: Snapshot, ours: Snapshot, theirs: Snapshot) {
  const store = new MemoryStore();
  const roots = [base, ours, theirs].map((snapshot) => store.add(snapshot)) as [Hash, Hash, Hash];
  const { root, conflicts } = await mergeRoots(store, ...roots);
  const mirrored = await mergeRoots(store, roots[0], roots[2], roots[1]);
  const root2 = spell(store, { kind: "directory", hash: mirrored.root });
  const result = spell(store, { kind: "directory", hash: root });
  expect(root2).toEqual(result);
  expect(mirrored.conflicts).toEqual(conflicts);
  return { result, conflicts };
}

describe("names that differ in case alone", () => {
  test("two new files are a conflict at one of the names, and tell where they were", async () => {
    expect(await merged({}, { readme: "ours" }, { README: "theirs" })).toEqual({
      result: { README: { sides: ["ours at readme", "theirs"], bases: ["nothing"] } },
      conflicts: ["README"],
    });
  });

  test("the same file under both names is a conflict: which name is right must be said", async () => {
    expect(await merged({}, { "d/f": "same" }, { "d/F": "same" })).toEqual({
      result: { d: { F: { sides: ["same at d/f", "same"], bases: ["nothing"] } } },
      conflicts: ["d/F"],
    });
  });

  test("a file that was renamed in case alone takes the other side's edit along", async () => {
    const text = Array.from({ length: 30 }, (_, line) => `line ${line}\n`).join("");
    expect(await merged({ f: text }, { F: text }, { f: `${text}more\n` })).toEqual({
      result: { F: `${text}more\n` },
      conflicts: [],
    });
  });

  test("a file renamed to two such names is a conflict of the two", async () => {
    expect(await merged({ old: "x" }, { new: "x" }, { NEW: "x" })).toEqual({
      result: { NEW: { sides: ["x at new", "x"], bases: ["x at old"] } },
      conflicts: ["NEW"],
    });
  });

  test("directories, and a file and a directory, are a conflict as a whole", async () => {
    expect(await merged({}, { "src/a": "1" }, { "Src/b": "2" })).toEqual({
      result: {
        Src: { sides: [{ a: "1", "": " at src" }, { b: "2" }], bases: ["nothing"] },
      },
      conflicts: ["Src"],
    });
    expect(await merged({}, { src: "1" }, { "Src/b": "2" })).toEqual({
      result: { Src: { sides: ["1 at src", { b: "2" }], bases: ["nothing"] } },
      conflicts: ["Src"],
    });
  });

  test("accents that are spelled otherwise count, too", async () => {
    const { conflicts } = await merged({}, { "caf\u00e9": "1" }, { "cafe\u0301": "2" });
    expect(conflicts).toEqual(["cafe\u0301"]);
  });

  test("an edit of either file joins the conflict, and its resolution stands", async () => {
    const store = new MemoryStore();
    const add = (snapshot: Snapshot) => store.add(snapshot);
    const theirs = add({ k: "k", readme: "r" });
    const first = await mergeRoots(store, add({ k: "k" }), add({ k: "k", README: "R" }), theirs);
    const edited = add({ k: "k", readme: "r2" });
    const second = await mergeRoots(store, theirs, first.root, edited);
    expect(spell(store, { kind: "directory", hash: second.root })).toEqual({
      k: "k",
      README: { sides: ["R", "r2 at readme"], bases: ["nothing"] },
    });
    const resolved = add({ k: "k", readme: "both" });
    const third = await mergeRoots(store, first.root, resolved, first.root);
    expect(hashKey(third.root)).toBe(hashKey(resolved));
  });

  test("both stand where the repository allows it", async () => {
    const store = new MemoryStore();
    const [ours, theirs] = [store.add({ f: "1" }), store.add({ F: "2" })];
    const { root, trees, conflicts } = await mergeTrees(store, undefined, ours, theirs);
    store.addEncoded(trees);
    expect([...store.list(root).keys()]).toEqual(["F", "f"]);
    expect(conflicts).toEqual([]);
  });
});

const names = ["a", "A", "b", "B", "d/a", "d/A", "D/a", "D/b", "e/x", "E", "e"];

function checkNames(store: MemoryStore, entry: Entry | ConflictTerm | undefined): void {
  if (entry?.kind === "conflict") {
    for (const term of [...entry.sides, ...entry.bases]) checkNames(store, term);
  }
  if (entry?.kind !== "directory") return;
  const entries = store.trees.get(hashKey(entry.hash))!;
  const folds = new Set(entries.map(({ name }) => foldName(name)));
  if (folds.size < entries.length) throw new Error(`collision: ${entries.map((e) => e.name)}`);
  for (const below of entries) checkNames(store, below);
}

test(`${rounds} random merges leave no such names, are symmetric, and lose no line`, async () => {
  const { random, seed } = seededRandom();
  const below = (count: number) => Math.floor(random() * count);
  let lines = 0;
  const put = (model: Map<string, string>, path: string, text: string) => {
    for (const other of model.keys()) {
      const [parts, others] = [path.split("/"), other.split("/")];
      const depth = parts.findIndex((part, at) => part !== others[at]);
      const [part, theirs] = [parts[depth] ?? "", others[depth] ?? ""];
      const isPrefix = depth < 0 || depth >= others.length;
      if (isPrefix || foldName(part) === foldName(theirs)) model.delete(other);
      else if (others.length > depth + 1 && foldName(part) === foldName(theirs))
        model.delete(other);
    }
    model.set(path, text);
  };
  const edited = (base: Map<string, string>) => {
    const model = new Map(base);
    for (let edits = below(4); edits > 0; edits--) {
      const paths = [...model.keys()];
      const path = paths[below(paths.length)];
      const to = names[below(names.length)]!;
      if (path === undefined || below(3) === 0) put(model, to, `line ${lines++}\n`);
      else if (below(3) === 0) model.delete(path);
      else {
        const text = model.get(path)! + (below(2) === 0 ? `line ${lines++}\n` : "");
        model.delete(path);
        put(model, below(2) === 0 ? to : path, text);
      }
    }
    return model;
  };
  for (let round = 0; round < rounds; round++) {
    const base = edited(new Map());
    const models = [base, edited(base), edited(base)];
    const store = new MemoryStore();
    const roots = models.map((model) => store.add(Object.fromEntries(model)));
    const [old, ours, theirs] = roots as [Hash, Hash, Hash];
    try {
      for (const hash of roots) checkNames(store, { kind: "directory", hash });
      const { root } = await mergeRoots(store, old, ours, theirs);
      const mirrored = await mergeRoots(store, old, theirs, ours);
      checkNames(store, { kind: "directory", hash: root });
      const spelled = json(spell(store, { kind: "directory", hash: root }));
      expect(json(spell(store, { kind: "directory", hash: mirrored.root }))).toBe(spelled);
      const written = [...models[1]!.values(), ...models[2]!.values()].join("").split("\n");
      const known = [...base.values()].join("");
      for (const line of written) {
        if (!known.includes(`${line}\n`) && !spelled.includes(line))
          throw new Error(`lost ${line}`);
      }
      // Merged on, and with what did not change.
      const later = store.add(Object.fromEntries(edited(models[2]!)));
      const again = await mergeRoots(store, theirs, root, later);
      checkNames(store, { kind: "directory", hash: again.root });
      expect((await mergeRoots(store, theirs, root, theirs)).root).toEqual(root);
      expect((await mergeRoots(store, root, root, again.root)).root).toEqual(again.root);
    } catch (cause) {
      const spelled = models.map((model) => json(Object.fromEntries(model))).join("\n");
      throw new Error(`seed ${seed}, round ${round}\n${spelled}`, { cause });
    }
  }
}, 60_000);
