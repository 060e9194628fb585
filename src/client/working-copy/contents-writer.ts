/**
 * Decodes objects, checks their hashes and writes them to new files: what takes most of the time
 * of a checkout. A large one is shared by a few threads, which get objects in batches.
 */
import { availableParallelism } from "node:os";
import { closeSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { PogoError, type ErrorCode } from "#core/errors.ts";
import type { Hash } from "#core/hash.ts";
import { decodeObject, decodeTombstone } from "#core/object.ts";
import { statDescriptor, statWords } from "#native/directory.ts";
import { writing } from "./writing.ts";
import type { Stat } from "./stat.ts";

/** One file to write. */
export type Content = {
  /** Absolute path of the file; one that exists is left alone. */
  target: string;
  /** As people know it. */
  path: string;
  hash: Hash;
  size: number;
  executable: boolean;
  /** The encoded object. */
  bytes: Uint8Array;
  /**
   * An earlier command may have been killed while it wrote the file: what is no more than the
   * beginning of the contents is replaced, by way of this path.
   */
  mend: string | undefined;
};

/** Stat of a file that was written, or nothing when something stood there. */
export type WrittenContent = Stat | undefined;

/** Writes batches of files; several may be under way. */
export type ContentsWriter = Disposable & {
  batchesMax: number;
  write(contents: readonly Content[]): Promise<WrittenContent[]>;
};

/** How a thread is told what to write, and what it answers. */
export type WriteRequest = { id: number; contents: Content[] };
export type WriteAnswer = { id: number } & (
  | { stats: WrittenContent[] }
  | { failure: { code: ErrorCode; message: string; hint: string | undefined } }
  | { bug: string }
);

const fileMode = 0o666;
const executableMode = 0o777;
// Below this, threads take longer to start than they save.
const threadedCountMin = 1000;
const threadsMax = 4;
const workerPath = Bun.isStandaloneExecutable
  ? "./src/client/working-copy/contents-worker.ts"
  : "./contents-worker.ts";

/** Opens a writer fit for so many files. */
export function openContentsWriter(count: number): ContentsWriter {
  // One core is left to whoever receives.
  const threads = Math.min(availableParallelism() - 1, threadsMax);
  if (count >= threadedCountMin && threads > 0) return threadedWriter(threads);
  return {
    batchesMax: 1,
    write: async (contents) => contents.map(writeContent),
    [Symbol.dispose]() {},
  };
}

/** Writes one file whole, or not at all. */
export function writeContent(content: Content): WrittenContent {
  const { target, path, hash, size, executable, bytes, mend } = content;
  const placeholder = decodeTombstone(hash, bytes);
  const raw = placeholder ?? decodeObject(hash, bytes);
  if (!placeholder && raw.length !== size) {
    throw new PogoError("corrupt", `${JSON.stringify(path)} has another size than its tree says`);
  }
  const mode = executable ? executableMode : fileMode;
  const stat = writing(path, () => createFile(target, raw, mode));
  if (stat || mend === undefined) return stat;
  const found = readFileSync(target);
  if (found.length >= raw.length || found.compare(raw, 0, found.length) !== 0) return undefined;
  return writing(path, () => {
    createFile(mend, raw, mode);
    renameSync(mend, target);
    // Its stat has changed once more: the next scan finds out.
    return undefined;
  });
}

function createFile(target: string, raw: Uint8Array, mode: number): Stat | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(target, "wx", mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  }
  let isWhole = false;
  try {
    for (let offset = 0; offset < raw.length;) offset += writeSync(descriptor, raw, offset);
    const stat = new Uint32Array(statWords);
    statDescriptor(descriptor, stat);
    isWhole = true;
    return stat;
  } finally {
    closeSync(descriptor);
    if (!isWhole) unlinkSync(target);
  }
}

function threadedWriter(threads: number): ContentsWriter {
  type Waiting = { resolve(stats: WrittenContent[]): void; reject(error: unknown): void };
  const waiting = new Map<number, Waiting>();
  // A thread that is gone answers nothing: what is written from then on fails as well.
  let failure: unknown;
  const failAll = (error: unknown) => {
    failure ??= error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const workers = Array.from({ length: threads }, () => {
    const worker = new Worker(new URL(workerPath, import.meta.url));
    worker.on("error", failAll);
    worker.on("exit", () => failAll(new Error("a thread that writes files has ended")));
    worker.on("message", (answer: WriteAnswer) => {
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ("stats" in answer) call?.resolve(answer.stats);
      else call?.reject(toError(answer));
    });
    return worker;
  });
  let next = 0;
  return {
    batchesMax: threads * 2,
    write(contents) {
      if (failure !== undefined) return Promise.reject(failure);
      const id = next++;
      const { request, buffer } = pack(id, contents);
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        workers[id % threads]?.postMessage(request, [buffer]);
      });
    },
    [Symbol.dispose]() {
      failAll(new Error("the writer was closed"));
      for (const worker of workers) void worker.terminate();
    },
  };
}

// What arrived is views of larger messages, which would be copied whole for each.
function pack(id: number, contents: readonly Content[]) {
  const total = contents.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const all = new Uint8Array(total);
  let offset = 0;
  const packed = contents.map((content) => {
    all.set(content.bytes, offset);
    const bytes = all.subarray(offset, offset + content.bytes.length);
    offset += bytes.length;
    return { ...content, hash: content.hash.slice(), bytes };
  });
  const request: WriteRequest = { id, contents: packed };
  return { request, buffer: all.buffer };
}

function toError(answer: Exclude<WriteAnswer, { stats: WrittenContent[] }>): Error {
  if ("bug" in answer) return new Error(answer.bug);
  const { code, message, hint } = answer.failure;
  return new PogoError(code, message, { hint });
}
