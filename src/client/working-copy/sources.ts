/**
 * Where a large file that is to be written may find some of its chunks in the working copy: in
 * what stands at its path and in what the operation has just written; if nothing stands there, in
 * a file of the same contents, and in those that the operation removes, as it was renamed.
 */
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { equalHashes, hashKey } from "#core/hash.ts";
import { chunkBytesMin } from "#core/limits.ts";
import type { Chunk } from "#core/object.ts";
import { baseName } from "#core/path.ts";
import type { FileEntry } from "#core/tree.ts";
import { baseFiles } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import { stagedPath, type Step } from "./journal.ts";

export type Sources = {
  /** Absolute paths of files to look into, the likeliest first. */
  of(step: Step, chunks: readonly Chunk[]): Generator<string>;
  /** Notes that a step's contents have been made. */
  add(step: Step, chunks: readonly Chunk[]): void;
};

// Each is read to its end if it does not have everything.
const removedMax = 2;

/** Looks for sources in a working copy on which the steps are yet to be done. */
export function openSources(workspace: Workspace, steps: readonly Step[]): Sources {
  const { root, state } = workspace;
  const made: { step: Step; keys: Set<string> }[] = [];

  function* removed(path: string, size: number): Generator<string> {
    const name = baseName(path);
    const rank = (step: Step) => {
      const distance = Math.abs((step.before as FileEntry).size - size);
      return baseName(step.path) === name ? distance - Number.MAX_SAFE_INTEGER : distance;
    };
    const gone = steps.filter(({ before, after }) => {
      return !after && before?.kind === "file" && before.size >= chunkBytesMin;
    });
    gone.sort((a, b) => rank(a) - rank(b));
    for (const step of gone.slice(0, removedMax)) yield join(root, step.path);
  }

  return {
    *of({ path, after }, chunks) {
      const { hash, size } = after as FileEntry;
      const own = join(root, path);
      const standing = lstatSync(own, { throwIfNoEntry: false });
      const isEdit = standing?.isFile() === true && standing.size >= chunkBytesMin;
      if (isEdit) yield own;
      for (const { step, keys } of made) {
        if (!chunks.some((chunk) => keys.has(hashKey(chunk.hash)))) continue;
        const staged = stagedPath(workspace, step);
        yield existsSync(staged) ? staged : join(root, step.path);
      }
      if (isEdit) return;
      for (const file of baseFiles(state)) {
        if (file.entry.size !== size || !equalHashes(file.entry.hash, hash)) continue;
        yield join(root, file.path);
        break;
      }
      yield* removed(path, size);
    },
    add(step, chunks) {
      made.push({ step, keys: new Set(chunks.map(({ hash }) => hashKey(hash))) });
    },
  };
}
