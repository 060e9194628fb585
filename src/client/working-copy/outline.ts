/** What the fast part of a scan leaves to look at: which directories, and the way to them. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { parentPath } from "#core/path.ts";
import type { DirectoryReader } from "#native/directory.ts";
import { directoryOutline, lastDirectoryId, type OutlineRow } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import { noRules } from "./ignore.ts";
import { finishRuns, verifyJob, verifyRuns } from "./verify.ts";

export type Outline = {
  /** Everything stands as recorded. */
  isClean: boolean;
  rows: Map<string, OutlineRow>;
  /** Directories that stand as recorded, themselves and the ignore rules that hold there. */
  recorded: Set<string>;
  /** For each directory the subdirectories in which, or below which, something does not. */
  marked: Map<string, Set<string>>;
};

const workerPath = Bun.isStandaloneExecutable
  ? "./src/client/working-copy/verify-worker.ts"
  : "./verify-worker.ts";

// Below this a thread takes longer to start than the work takes.
const threadedRowsMin = 600;

/** Verifies all directories of the base. */
export function outlineBase(
  workspace: Workspace,
  reader: DirectoryReader,
  generation: number,
): Outline {
  const { root, control, state } = workspace;
  const last = lastDirectoryId(state);
  const job = verifyJob(last, generation);
  let worker: Worker | undefined;
  if (last >= threadedRowsMin && availableParallelism() > 1) {
    worker = new Worker(new URL(workerPath, import.meta.url), {
      workerData: { root, control, job },
    });
    // Without the thread the work is done here: whatever keeps it from starting is no failure.
    worker.on("error", () => {});
    worker.unref();
  }
  const rows = directoryOutline(state);
  verifyRuns(state, reader, job);
  finishRuns(state, reader, job);
  // A copy: a thread that is late may still write to it.
  return summarize(rows, job.clean.slice());
}

function summarize(list: OutlineRow[], clean: Uint8Array): Outline {
  const rows = new Map(list.map((row) => [row.path, row]));
  const recorded = new Set<string>();
  const marked = new Map<string, Set<string>>();
  let isClean = true;
  for (const row of list) {
    const above = row.path === "" ? noRules.key : rows.get(parentPath(row.path))?.rules;
    if (clean[row.id] === 1) recorded.add(row.path);
    if (clean[row.id] === 1 && row.rulesAbove === above) continue;
    isClean = false;
    for (let child = row.path; child !== "";) {
      const parent = parentPath(child);
      const children = marked.get(parent) ?? new Set();
      if (children.has(child)) break;
      marked.set(parent, children.add(child));
      child = parent;
    }
  }
  return { isClean: isClean && rows.size > 0, rows, recorded, marked };
}
