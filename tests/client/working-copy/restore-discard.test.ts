import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { discard, listDiscards } from "#client/working-copy/discard.ts";
import { interruptedOperation, recordOperation } from "#client/working-copy/journal.ts";
import {
  findRedoableDiscard,
  findUndoableDiscard,
  restoreDiscard,
} from "#client/working-copy/restore-discard.ts";
import { scan } from "#client/working-copy/scan.ts";
import { isPogoError } from "#core/errors.ts";
import { readFiles, snapshotOf, temporaryWorkspace, writeFiles } from "../../support/workspace.ts";

const files = { a: "1", "d/b": "1", "d/c": "1", mode: "1", link: { link: "a" }, plain: "1" };

async function discarded() {
  const temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const { current, trees, fetch } = snapshotOf(files);
  await checkout({ workspace, fetch }, current, trees);
  writeFileSync(join(root, "a"), "mine");
  rmSync(join(root, "d"), { recursive: true });
  rmSync(join(root, "link"));
  symlinkSync("d", join(root, "link"));
  chmodSync(join(root, "mode"), 0o755);
  // A directory became a file, and a file a directory.
  rmSync(join(root, "plain"));
  writeFiles(root, { d: "mine", "new/deep/file": { run: "mine" }, "plain/x": "mine" });
  const edited = readFiles(root);
  const result = await discard({ workspace, fetch }, () => true);
  const clean = readFiles(root);
  return { ...temporary, fetch, edited, clean, made: result!.discard };
}

test("files, links, modes and directories come back, and can be exchanged for ever", async () => {
  using temporary = await discarded();
  const { root, workspace, edited, clean } = temporary;
  for (let round = 0; round < 3; round++) {
    const undoable = findUndoableDiscard(workspace)!;
    expect(restoreDiscard(workspace, undoable, "undo")).toMatchObject({ kept: [] });
    expect(readFiles(root)).toEqual(edited);
    expect(findUndoableDiscard(workspace)).toBeUndefined();
    const redoable = findRedoableDiscard(workspace)!;
    expect(restoreDiscard(workspace, redoable, "redo")).toMatchObject({ kept: [] });
    expect(readFiles(root)).toEqual(clean);
    expect(scan(workspace).differences).toEqual([]);
    expect(findRedoableDiscard(workspace)).toBeUndefined();
  }
  expect(interruptedOperation(workspace)).toBeUndefined();
});

test("discards come back one after another, the last first, and are redone the other way", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const { current, trees, fetch } = snapshotOf({ a: "0" });
  await checkout({ workspace, fetch }, current, trees);
  for (const text of ["one", "two"]) {
    writeFileSync(join(root, "a"), text);
    await discard({ workspace, fetch }, () => true);
  }
  const seen: unknown[] = [];
  for (const kind of ["undo", "undo", "redo", "redo", "undo"] as const) {
    const find = kind === "undo" ? findUndoableDiscard : findRedoableDiscard;
    restoreDiscard(workspace, find(workspace)!, kind);
    seen.push(readFiles(root)["a"]);
  }
  expect(seen).toEqual(["two", "one", "two", "0", "two"]);
});

test("what was written meanwhile is kept, not overwritten", async () => {
  using temporary = await discarded();
  const { root, workspace, made } = temporary;
  writeFileSync(join(root, "a"), "later");
  writeFiles(root, { "d/b": "later", "new/deep/file": "later" });
  const { replaced } = restoreDiscard(workspace, made, "undo");
  expect(readFiles(root)["a"]).toBe("mine");
  expect(readFiles(replaced.directory)).toMatchObject({
    a: "later",
    "d/b": "later",
    "new/deep/file": "later",
  });
});

test("what cannot make room is refused by name, and nothing is touched", async () => {
  using temporary = await discarded();
  const { root, workspace, made } = temporary;
  writeFiles(root, { "d/untracked": "later" });
  const before = readFiles(root);
  const attempt = () => restoreDiscard(workspace, made, "undo");
  const failureOf = () => {
    try {
      attempt();
    } catch (error) {
      return isPogoError(error, "conflict") ? error.message : error;
    }
    return undefined;
  };
  expect(failureOf()).toBe('"d/untracked" is in the way');
  rmSync(join(root, "d/untracked"));
  writeFileSync(join(root, "new"), "a file where a directory was");
  expect(failureOf()).toBe('"new" is in the way');
  rmSync(join(root, "new"));
  expect(readFiles(root)).toEqual({ ...before, "d/untracked": undefined } as never);
  expect(listDiscards(workspace).length).toBe(1);
  attempt();
  expect(readFiles(root)["new/deep/file"]).toEqual({ run: "mine" });
});

test("wherever it is interrupted, the next command finishes it", async () => {
  // After each rename in turn, the process is gone.
  for (let done = 0; ; done++) {
    using temporary = await discarded();
    const { root, workspace, fetch, edited, made } = temporary;
    const swaps = [
      { path: "d/b", isBack: false },
      { path: "d/c", isBack: false },
      { path: "plain", isBack: false },
      { path: "a", isBack: true },
      { path: "d", isBack: true },
      { path: "link", isBack: true },
      { path: "mode", isBack: false, executable: true },
      { path: "new/deep/file", isBack: true },
      { path: "plain/x", isBack: true },
    ];
    const operation = {
      kind: "restore",
      phase: "applying",
      current: workspace.state.current,
      discardId: made.id + 1,
      restores: made.id,
      swaps,
    } as const;
    recordOperation(workspace.state, { ...operation, swaps }, [], []);
    const target = join(workspace.control, "discarded", String(made.id + 1));
    const renames: [string, string][] = [
      ...["d/b", "d/c", "plain"].map((path): [string, string] => [
        join(root, path),
        join(target, path),
      ]),
      [join(root, "a"), join(target, "a")],
      [join(made.directory, "a"), join(root, "a")],
      [join(root, "link"), join(target, "link")],
      [join(made.directory, "link"), join(root, "link")],
    ];
    for (const [from, to] of renames.slice(0, done)) {
      mkdirSync(join(to, ".."), { recursive: true });
      renameSync(from, to);
    }
    const recovery = await recover({ workspace, fetch });
    expect(recovery).toMatchObject({ kind: "restore", outcome: "finished", kept: [] });
    expect(readFiles(root)).toEqual(edited);
    expect(readFiles(target)).toEqual({
      a: "1",
      "d/b": "1",
      "d/c": "1",
      link: { link: "a" },
      plain: "1",
    });
    if (done === renames.length) break;
  }
});
