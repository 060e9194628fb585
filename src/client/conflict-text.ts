/** A conflict as a text to look at, wherever there is no working copy to write sides into. */
import type { ConflictTerm } from "#core/conflict.ts";
import { toHex, type Hash } from "#core/hash.ts";
import type { ConflictEntry, FileEntry } from "#core/tree.ts";
import { markTerms, numberedLabels } from "./conflict-files.ts";

/** The files that a conflict names, to be loaded. */
export function conflictFiles({ name, sides, bases }: ConflictEntry): FileEntry[] {
  return [...sides, ...bases].flatMap((term) => (term?.kind === "file" ? [{ ...term, name }] : []));
}

/** All sides between markers if they are texts, else what each side and base is. */
export function conflictText(
  { sides, bases }: ConflictEntry,
  contents: (hash: Hash) => Uint8Array | undefined,
): Uint8Array {
  // What is no file has no lines, but then a side must not be lost.
  const textOf = (term: ConflictTerm | undefined) => {
    return term?.kind === "file" ? contents(term.hash) : undefined;
  };
  const texts = sides.map(textOf).filter((text) => text !== undefined);
  const before = bases.map((term) => (term ? textOf(term) : new Uint8Array(0)));
  const olds = before.filter((text) => text !== undefined);
  const isText = texts.length === sides.length && olds.length === bases.length;
  const marked = isText && markTerms(texts, olds, numberedLabels(sides).titles);
  if (marked) return marked.bytes;
  const lines = sides.map((side, index) => `side ${index + 1}: ${describeTerm(side)}`);
  lines.push(...bases.map((term) => `before: ${describeTerm(term)}`));
  return Buffer.from(`${lines.join("\n")}\n`);
}

function describeTerm(term: ConflictTerm | undefined): string {
  if (!term) return "nothing";
  const where = term.path === undefined ? "" : `, from ${JSON.stringify(term.path)}`;
  if (term.kind === "symlink") return `link to ${JSON.stringify(term.target)}${where}`;
  if (term.kind === "directory") return `directory ${toHex(term.hash)}${where}`;
  const kind = term.executable ? "executable file" : "file";
  return `${kind} of ${term.size} bytes, ${toHex(term.hash)}${where}`;
}
