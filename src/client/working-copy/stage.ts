/**
 * Fetches and writes the contents that steps need, either into `.pogo/incoming` or, in a first
 * checkout, right where they belong. Whatever the source sends is decoded and its hash checked; a
 * file of chunks is put together under another name until it is whole.
 */
import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { dirname } from "node:path";
import { PogoError } from "#core/errors.ts";
import { equalHashes, hashKey, toHex, type Hash } from "#core/hash.ts";
import { decodeChunkList, inspectObject, type Chunk } from "#core/object.ts";
import type { FileEntry } from "#core/tree.ts";
import { openGarbage } from "../garbage.ts";
import type { Workspace } from "../workspace.ts";
import { assembleFile } from "./assemble.ts";
import { openContentsWriter, type Content, type ContentsWriter } from "./contents-writer.ts";
import { partialPath, stagedPath, type Step } from "./journal.ts";
import { openSources } from "./sources.ts";
import type { Stat } from "./stat.ts";
import { writing } from "./writing.ts";

/** Yields the objects in the order asked, encoded as core/object.ts describes. */
export type ObjectSource = (
  wanted: readonly { hash: Hash; size: number }[],
) => AsyncIterable<{ hash: Hash; bytes: Uint8Array }>;

/** What a checkout works with. */
export type CheckoutParts = { workspace: Workspace; fetch: ObjectSource };

/** What a checkout tells of itself as it goes. */
export type CheckoutObserver = { add(amount: { files?: number; bytes?: number }): void };

/** Where contents go. */
export type Destination = {
  /** Absolute path to write a step's contents to; nothing if they cannot go anywhere. */
  place(step: Step): string | undefined;
  /** Called when small contents or a link were written, or something stood there instead. */
  placed(step: Step, isWritten: boolean, stat: Stat | undefined): void;
  /** Called when large contents are staged. */
  staged(step: Step): void;
};

// See core/object.ts.
const chunksCodec = 3;
const batchBytes = 1024 * 1024;
const batchCount = 128;

/** Tells whether a step's contents have to be fetched, or made, before it can be done. */
export function needsStaging({ before, after }: Step): boolean {
  if (!after) return false;
  if (after.kind === "symlink" || before?.kind !== "file") return true;
  return !equalHashes(before.hash, after.hash);
}

/** Writes all contents below `.pogo/incoming`. */
export async function stageSteps(
  parts: CheckoutParts,
  steps: readonly Step[],
  observer: CheckoutObserver,
): Promise<void> {
  const place = (step: Step) => stagedPath(parts.workspace, step);
  await placeSteps(parts, steps, { place, placed() {}, staged() {} }, observer);
}

/** Writes the contents of the steps where the destination says. */
export async function placeSteps(
  parts: CheckoutParts,
  steps: readonly Step[],
  destination: Destination,
  observer: CheckoutObserver,
): Promise<void> {
  const files = new Map<string, Step[]>();
  const wanted: { hash: Hash; size: number }[] = [];
  for (const step of steps) {
    const { after } = step;
    if (!after || !needsStaging(step)) continue;
    if (after.kind === "symlink") {
      placeLink(step, after.target, destination);
      observer.add({ files: 1 });
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
  if (wanted.length === 0) return;
  const large = await placeFiles(parts, files, wanted, destination, observer);
  const sources = openSources(parts.workspace, steps);
  for (const { steps: same, chunks } of large) {
    for (const step of same) {
      const { path, after } = step;
      const { hash, size, executable } = after as FileEntry;
      const partial = partialPath(parts.workspace, hash);
      writing(path, () => mkdirSync(dirname(partial), { recursive: true }));
      const assembly = { partial, path, hash, size, executable, chunks };
      await assembleFile(parts.fetch, assembly, sources.of(step, chunks), observer);
      // While it had another name it was not whole, and the step could not be done.
      writing(path, () => renameSync(partial, stagedPath(parts.workspace, step)));
      sources.add(step, chunks);
      destination.staged(step);
      observer.add({ files: 1 });
    }
  }
}

type Large = { steps: Step[]; chunks: Chunk[] };

async function placeFiles(
  { workspace, fetch }: CheckoutParts,
  files: Map<string, Step[]>,
  wanted: readonly { hash: Hash; size: number }[],
  destination: Destination,
  observer: CheckoutObserver,
): Promise<Large[]> {
  const large: Large[] = [];
  using writer = openContentsWriter(wanted.length);
  const batches = openBatches(writer, destination, observer);
  for await (const { hash, bytes } of fetch(wanted)) {
    const same = files.get(hashKey(hash));
    if (!same) throw new PogoError("corrupt", `the server sent ${toHex(hash)} unasked`);
    files.delete(hashKey(hash));
    if (bytes[4] === chunksCodec) {
      const { rawSize } = inspectObject(bytes);
      // Before a disk is filled with what turns out to be too much.
      const wrongly = same.find(({ after }) => after?.kind === "file" && after.size !== rawSize);
      if (wrongly) throw wrongSize(wrongly.path);
      large.push({ steps: same, chunks: decodeChunkList(bytes) });
      continue;
    }
    for (const step of same) {
      const target = destination.place(step);
      if (target === undefined) continue;
      const { size, executable } = step.after as FileEntry;
      const mend = step.mayBeTorn ? stagedPath(workspace, step) : undefined;
      await batches.add(step, { target, path: step.path, hash, size, executable, bytes, mend });
    }
  }
  await batches.finish();
  const [missing] = files.values();
  if (missing?.[0]) {
    const path = JSON.stringify(missing[0].path);
    throw new PogoError("corrupt", `the server did not send ${path}`);
  }
  return large;
}

/** Gathers contents into batches and keeps a bounded number of them under way. */
function openBatches(writer: ContentsWriter, destination: Destination, observer: CheckoutObserver) {
  let steps: Step[] = [];
  let contents: Content[] = [];
  let gathered = 0;
  const underWay = new Set<Promise<void>>();
  const garbage = openGarbage();
  let failure: { error: unknown } | undefined;

  function send(): void {
    const [batchSteps, batch] = [steps, contents];
    [steps, contents, gathered] = [[], [], 0];
    const written = writer.write(batch).then((stats) => {
      let bytes = 0;
      for (const [index, step] of batchSteps.entries()) {
        destination.placed(step, stats[index] !== undefined, stats[index]);
        bytes += batch[index]?.size ?? 0;
      }
      observer.add({ files: batchSteps.length, bytes });
      garbage.add(bytes);
    });
    const settled: Promise<void> = written
      .catch((error) => void (failure ??= { error }))
      .finally(() => underWay.delete(settled));
    underWay.add(settled);
  }

  async function settle(most: number): Promise<void> {
    while (underWay.size > most) await Promise.race(underWay);
    if (failure) throw failure.error;
  }

  return {
    async add(step: Step, content: Content): Promise<void> {
      steps.push(step);
      contents.push(content);
      gathered += content.bytes.length;
      if (gathered < batchBytes && contents.length < batchCount) return;
      send();
      await settle(writer.batchesMax - 1);
    },
    async finish(): Promise<void> {
      if (contents.length > 0) send();
      await settle(0);
    },
  };
}

function placeLink(step: Step, target: string, destination: Destination): void {
  const place = destination.place(step);
  if (place === undefined) return;
  const isWritten = writing(step.path, () => {
    try {
      symlinkSync(target, place);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  });
  destination.placed(step, isWritten, undefined);
}

function wrongSize(path: string): PogoError {
  return new PogoError("corrupt", `${JSON.stringify(path)} has another size than its tree says`);
}
