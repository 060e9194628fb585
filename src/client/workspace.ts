/** A working copy: the directory, its state in `.pogo`, and the lock that writers hold. */
import { Database } from "bun:sqlite";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { PogoError } from "#core/errors.ts";
import { controlDirectory } from "#core/path.ts";
import { emptyTreeHash } from "#core/tree.ts";
import { moveBase } from "./state-directories.ts";
import { State, type Binding, type CurrentChange } from "./state.ts";

const lockFile = "lock";
const lockPollMs = 25;

/** An open working copy. */
export class Workspace implements Disposable {
  /** Absolute path of the directory that holds `.pogo`. */
  readonly root: string;
  readonly state: State;

  constructor(root: string, state: State) {
    this.root = root;
    this.state = state;
  }

  /** The directory that is Pogo's own. */
  get control(): string {
    return join(this.root, controlDirectory);
  }

  /**
   * Keeps other commands that write out of the working copy until it is disposed of. Waits up to
   * `waitMs` for one that is at work; the operating system releases the lock of a killed one.
   */
  async lock(waitMs = 3000): Promise<Disposable> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const lock = tryLock(join(this.control, lockFile));
      if (lock) return lock;
      if (performance.now() >= deadline) break;
      await Bun.sleep(lockPollMs);
    }
    throw new PogoError("conflict", `another pogo command is at work in ${this.root}`, {
      hint: "wait until it has finished, then run this again",
    });
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
  }
}

/** Finds the root of the working copy that a directory is in. */
export function findRoot(start: string): string | undefined {
  for (let directory = resolve(start); ;) {
    const found = statSync(join(directory, controlDirectory), { throwIfNoEntry: false });
    if (found?.isDirectory()) return directory;
    const parent = dirname(directory);
    if (parent === directory) return undefined;
    directory = parent;
  }
}

/** Opens the working copy that a directory is in. */
export function openWorkspace(start: string): Workspace {
  const root = findRoot(start);
  if (root === undefined) {
    throw new PogoError("not-found", `${resolve(start)} is not in a working copy`, {
      hint: "pogo clone URL/NAME, or pogo init --server URL --name NAME",
    });
  }
  const real = realpathSync(root);
  return new Workspace(real, State.open(join(real, controlDirectory)));
}

/**
 * Binds a directory to a repository. Its base has no files, whatever `current.tree` will be:
 * `checkout` moves it there. The control directory appears whole, with what `alongside` records.
 */
export function createWorkspace(
  root: string,
  binding: Binding,
  current: CurrentChange,
  alongside: (state: State) => void = () => {},
): Workspace {
  mkdirSync(root, { recursive: true });
  const real = realpathSync(root);
  const control = join(real, controlDirectory);
  for (const name of readdirSync(real).filter(isScratch)) {
    rmSync(join(real, name), { recursive: true, force: true });
  }
  const scratch = mkdtempSync(`${control}-`);
  try {
    const empty = { ...current, tree: emptyTreeHash };
    using state = State.create(scratch, binding, empty);
    moveBase(
      state,
      empty,
      () => undefined,
      {},
      () => alongside(state),
    );
    state.database.run("pragma wal_checkpoint(truncate)");
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    throw error;
  }
  try {
    renameSync(scratch, control);
  } catch (cause) {
    rmSync(scratch, { recursive: true, force: true });
    if (!statSync(control, { throwIfNoEntry: false })) throw cause;
    throw new PogoError("already-exists", `${real} is a working copy already`, { cause });
  }
  return new Workspace(real, State.open(control));
}

/** Tells a control directory that was being made when its maker was killed. */
export function isScratch(name: string): boolean {
  return /^\.pogo-[a-z0-9]{6}$/i.test(name);
}

// SQLite's own lock works alike on every system and ends with its process.
function tryLock(file: string): Disposable | undefined {
  let database: Database | undefined;
  try {
    const opened = (database = new Database(file, { create: true, readwrite: true }));
    opened.run("pragma journal_mode = memory");
    opened.run("begin exclusive");
    return { [Symbol.dispose]: () => opened.close() };
  } catch (error) {
    database?.close();
    const code = (error as { code?: string }).code ?? "";
    if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return undefined;
    if (/^SQLITE_(READONLY|CANTOPEN|PERM|IOERR)/.test(code)) {
      throw new PogoError("denied", `cannot write in ${dirname(file)}`, { cause: error });
    }
    throw error;
  }
}
