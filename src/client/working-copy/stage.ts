/**
 * Fetches the contents that steps need into `.pogo/incoming`. Whatever the source sends is
 * decoded and its hash checked before a file has its whole name; a file of chunks is written
 * chunk by chunk.
 */
import { closeSync, openSync, renameSync, symlinkSync, writeSync } from "node:fs";
import { isPogoError, PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { decodeChunkList, decodeObject, inspectObject } from "#core/object.ts";
import type { Chunk } from "#core/object.ts";
import type { FileEntry } from "#core/tree.ts";
import { writeNewFile } from "#native/files.ts";
import type { Workspace } from "../workspace.ts";
import { stagedPath, type Step } from "./journal.ts";

/** Yields the objects in the order asked, encoded as core/object.ts describes. */
export type ObjectSource = (
  wanted: readonly { hash: Hash; size: number }[],
) => AsyncIterable<{ hash: Hash; bytes: Uint8Array }>;

/** What a checkout works with. */
export type CheckoutParts = { workspace: Workspace; fetch: ObjectSource };

/** What a checkout tells of itself as it goes. */
export type CheckoutObserver = { add(amount: { files?: number; bytes?: number }): void };

const fileMode = 0o666;
const executableMode = 0o777;

/** Tells whether a step's contents have to be fetched, or made, before it can be done. */
export function needsStaging({ before, after }: Step): boolean {
  if (!after) return false;
  if (after.kind === "symlink" || before?.kind !== "file") return true;
  return !equalHashes(before.hash, after.hash);
}

/** Stages the steps and yields each when its contents are there. */
export async function* stageSteps(
  { workspace, fetch }: CheckoutParts,
  steps: readonly Step[],
  observer: CheckoutObserver,
): AsyncGenerator<Step> {
  const files = new Map<string, Step[]>();
  const wanted: { hash: Hash; size: number }[] = [];
  for (const step of steps) {
    const { after } = step;
    if (!needsStaging(step) || !after) continue;
    if (after.kind === "symlink") {
      writing(step.path, () => symlinkSync(after.target, stagedPath(workspace, step)));
      observer.add({ files: 1 });
      yield step;
      continue;
    }
    const key = hashKey(after.hash);
    const same = files.get(key);
    if (same) same.push(step);
    else {
      files.set(key, [step]);
      wanted.push({ hash: after.hash, size: after.size });
    }
  }
  const large: { steps: Step[]; chunks: Chunk[] }[] = [];
  if (wanted.length > 0) {
    for await (const { hash, bytes } of fetch(wanted)) {
      const same = files.get(hashKey(hash));
      if (!same) throw new PogoError("corrupt", `the server sent ${toHex(hash)} unasked`);
      files.delete(hashKey(hash));
      const { codec, rawSize } = inspectObject(bytes);
      if (codec === "chunks") {
        // Before a disk is filled with what turns out to be too much.
        const wrongly = same.find(({ after }) => after?.kind === "file" && after.size !== rawSize);
        if (wrongly) throw wrongSize(wrongly.path);
        large.push({ steps: same, chunks: decodeChunkList(bytes) });
        continue;
      }
      const contents = decodeObject(hash, bytes);
      for (const step of same) {
        stageWhole(workspace, step, contents);
        observer.add({ files: 1, bytes: contents.length });
        yield step;
      }
    }
  }
  for (const { steps: same, chunks } of large) {
    for (const step of same) {
      await stageChunks({ workspace, fetch }, step, chunks, observer);
      observer.add({ files: 1 });
      yield step;
    }
  }
  const [missing] = files.values();
  const path = missing?.[0]?.path;
  if (path !== undefined) {
    throw new PogoError("corrupt", `the server did not send ${JSON.stringify(path)}`);
  }
}

/** Runs something that writes, and says in our words what keeps it from writing. */
export function writing<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw isPogoError(error) ? error : explainWriting(path, error);
  }
}

function stageWhole(workspace: Workspace, step: Step, contents: Uint8Array): void {
  const { size, executable } = step.after as FileEntry;
  if (contents.length !== size) throw wrongSize(step.path);
  const mode = executable ? executableMode : fileMode;
  const staged = stagedPath(workspace, step);
  writing(step.path, () => writeNewFile(staged, contents, mode));
}

async function stageChunks(
  { workspace, fetch }: CheckoutParts,
  step: Step,
  chunks: readonly Chunk[],
  observer: CheckoutObserver,
): Promise<void> {
  const after = step.after as FileEntry;
  const whole = sha256Stream();
  let size = 0;
  let position = 0;
  // Under a name of its own until it is whole: while it is not, the step must not be done.
  const staged = stagedPath(workspace, step);
  const mode = after.executable ? executableMode : fileMode;
  const descriptor = writing(step.path, () => openSync(`${staged}.part`, "w", mode));
  try {
    for await (const { hash, bytes } of fetch(chunks)) {
      const expected = chunks[position++];
      if (!expected || !equalHashes(hash, expected.hash)) {
        throw new PogoError("corrupt", `the server sent other chunks of ${toHex(after.hash)}`);
      }
      const contents = decodeObject(hash, bytes);
      whole.update(contents);
      size += contents.length;
      writing(step.path, () => writeAll(descriptor, contents));
      observer.add({ bytes: contents.length });
    }
  } finally {
    closeSync(descriptor);
  }
  if (size !== after.size) throw wrongSize(step.path);
  if (!equalHashes(whole.digest(), after.hash)) {
    throw new PogoError("corrupt", `the chunks of ${toHex(after.hash)} make up another file`);
  }
  writing(step.path, () => renameSync(`${staged}.part`, staged));
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) offset += writeSync(descriptor, bytes, offset);
}

function wrongSize(path: string): PogoError {
  return new PogoError("corrupt", `${JSON.stringify(path)} has another size than its tree says`);
}

function explainWriting(path: string, cause: unknown): unknown {
  const { code, message } = cause as NodeJS.ErrnoException;
  const name = JSON.stringify(path);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new PogoError("unavailable", `no space left to write ${name}`, {
      cause,
      hint: "free some space, then run the command again",
    });
  }
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return new PogoError("denied", `cannot write ${name}: ${message}`, {
      cause,
      hint: "make the working copy writable, then run the command again",
    });
  }
  if (code === undefined) return cause;
  return new PogoError("unavailable", `cannot write ${name}: ${message}`, { cause });
}
