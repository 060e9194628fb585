/** Merges of snapshots in memory, spelled out to be compared. */
import type { ConflictTerm } from "#core/conflict.ts";
import { hashKey } from "#core/hash.ts";
import { mergeTrees } from "#core/merge.ts";
import type { Entry } from "#core/tree.ts";
import { MemoryStore, type Snapshot } from "./snapshot.ts";

/** Numbered lines, some of them edited. */
export const text = (from: number, to: number, edits: Record<number, string> = {}) => {
  return Array.from({ length: to - from }, (_, i) => {
    return `${edits[from + i] ?? `line number ${from + i}`}\n`;
  }).join("");
};

/** Spells what stands at a path. */
export function spell(store: MemoryStore, term: Entry | ConflictTerm | undefined): string {
  if (term === undefined) return "nothing";
  if (term.kind === "directory") return "directory";
  if (term.kind === "symlink") return `-> ${term.target}`;
  if (term.kind === "conflict") {
    const sides = term.sides.map((side) => spell(store, side));
    return `${sides.join(" | ")} over ${term.bases.map((base) => spell(store, base)).join(" | ")}`;
  }
  const contents = Buffer.from(store.files.get(hashKey(term.hash))!).toString();
  const moved = "path" in term ? ` at ${term.path}` : "";
  return (term.executable ? "run " : "") + JSON.stringify(contents) + moved;
}

/** Merges, and spells the files of the result by path. */
export async function merged(
  base: Snapshot,
  ours: Snapshot,
  theirs: Snapshot,
): Promise<Record<string, string>> {
  const store = new MemoryStore();
  const roots = [base, ours, theirs].map((snapshot) => store.add(snapshot));
  const result = await mergeTrees(store, roots[0], roots[1], roots[2]);
  store.addEncoded(result.trees);
  const listed = [...store.list(result.root)].map(([path, entry]) => [path, spell(store, entry)]);
  return Object.fromEntries(listed);
}
