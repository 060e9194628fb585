/**
 * In a virtual base, which nobody will see, a conflict is written out as text: where both sides
 * solved it alike since, the merge on top of the virtual base finds that they agree.
 */
import { markConflict } from "./conflict-markers.ts";
import { mergeTextBytesMax } from "./limits.ts";
import type { FileStore } from "./merge-file.ts";
import type { Leaf, Slot } from "./merge-walk.ts";

/** What stands in a virtual base where the bases it was merged from conflict. */
export async function virtualLeaf(store: FileStore, slot: Slot): Promise<Leaf | undefined> {
  const { base, ours, theirs } = slot;
  if (slot.isMoved) return ours ?? theirs;
  if (ours?.entry.kind !== "file" || theirs?.entry.kind !== "file") return base;
  const old = base?.entry.kind === "file" ? base.entry : undefined;
  const files = [old, ours.entry, theirs.entry];
  if (files.some((file) => file && file.size > mergeTextBytesMax)) return base;
  const texts = await Promise.all(
    files.map((file) => (file ? store.loadText(file) : new Uint8Array(0))),
  );
  const [oldText, ourText, theirText] = texts;
  if (!oldText || !ourText || !theirText) return base;
  const labels = { base: "", ours: "ours", theirs: "theirs" };
  const marked = markConflict({ base: oldText, ours: ourText, theirs: theirText }, labels, {
    showBase: false,
  });
  if (!marked) return base;
  const stored = await store.putText(marked.bytes);
  return { entry: { ...ours.entry, ...stored } };
}
