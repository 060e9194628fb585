import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { equalHashes, hashKey, sha256 } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import {
  encodeTree,
  equalEntries,
  treeHash,
  type ConflictEntry,
  type FileEntry,
} from "#core/tree.ts";
import type { TreeSource } from "#client/state-directories.ts";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import {
  baseConflicts,
  promoteConflicts,
  saveNextConflicts,
  withConflictObjects,
  type RenderedConflicts,
} from "#client/working-copy/conflict-records.ts";
import { discard } from "#client/working-copy/discard.ts";
import { beginOperation } from "#client/working-copy/journal.ts";
import { planCheckout } from "#client/working-copy/plan.ts";
import { scan } from "#client/working-copy/scan.ts";
import { stageSteps, type ObjectSource } from "#client/working-copy/stage.ts";
import { changeOf, readFiles, snapshotOf, temporaryWorkspace } from "../../support/workspace.ts";

const marked = "<<<<<<< a\nours\n=======\ntheirs\n>>>>>>> b\n";

function fileOf(name: string, text: string): FileEntry {
  const bytes = Buffer.from(text);
  return { kind: "file", name, executable: false, size: bytes.length, hash: sha256(bytes) };
}

function conflictOf(name: string, ours: string, base: string, theirs: string): ConflictEntry {
  const [first, old, second] = [ours, base, theirs].map((text) => {
    const { name: _, ...term } = fileOf(name, text);
    return term;
  });
  return { kind: "conflict", name, sides: [first, second], bases: [old] };
}

/** A tree with a text `f` and a binary `g` in conflict, rendered. */
function conflicted() {
  const [f, g] = [conflictOf("f", "ours", "old", "theirs"), conflictOf("g", "\0o", "\0b", "\0t")];
  const encoded = encodeTree([f, g, fileOf("plain", "plain")]);
  const root = treeHash(encoded);
  const text = fileOf("f", marked);
  const names = ["a", "b"];
  const sides = ["\0o", "\0t"].map((contents, index) => {
    const name = `g.~${names[index]}~`;
    return { path: name, entry: fileOf(name, contents) };
  });
  const conflicts: RenderedConflicts = {
    records: new Map([
      [
        "f",
        {
          path: "f",
          entry: f,
          names,
          standIns: [],
          files: [{ path: "f", entry: text }],
          markerLength: 7,
        },
      ],
      ["g", { path: "g", entry: g, names, files: sides, standIns: sides.map(({ path }) => path) }],
    ]),
    objects: new Map([
      [hashKey(text.hash), { hash: text.hash, bytes: encodeObject(Buffer.from(marked)) }],
    ]),
  };
  const { fetch } = snapshotOf({ plain: "plain", o: "\0o", t: "\0t" });
  const trees: TreeSource = (hash) => (equalHashes(hash, root) ? encoded : undefined);
  return { current: changeOf(root), trees, fetch, conflicts };
}

const files = { f: marked, "g.~a~": "\0o", "g.~b~": "\0t", plain: "plain" };

const offline: ObjectSource = () => {
  throw new Error("nothing is to be fetched");
};

async function inConflict() {
  const temporary = temporaryWorkspace();
  const { workspace } = temporary;
  const { current, trees, fetch, conflicts } = conflicted();
  await checkout({ workspace, fetch }, current, trees, { conflicts });
  return temporary;
}

test("a conflict that nobody touched is clean, and goes with its change", async () => {
  using temporary = await inConflict();
  const { root, workspace } = temporary;
  expect(readFiles(root)).toEqual(files);
  expect(scan(workspace)).toMatchObject({ differences: [], conflicted: ["f", "g"] });
  const { current, trees, fetch } = snapshotOf({ f: "f", plain: "plain" });
  await checkout({ workspace, fetch }, current, trees);
  expect(readFiles(root)).toEqual({ f: "f", plain: "plain" });
  expect(scan(workspace)).toMatchObject({ differences: [], conflicted: [] });
});

test("a checkout of conflicts that was interrupted is finished without the server", async () => {
  using temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const old = snapshotOf({ f: "f", g: "g" });
  await checkout({ workspace, fetch: old.fetch }, old.current, old.trees);
  const { current, trees, fetch, conflicts } = conflicted();
  const plan = planCheckout(workspace, trees, current.tree, [], conflicts);
  const operation = { kind: "checkout", phase: "applying", current } as const;
  beginOperation(workspace, operation, plan.steps, plan.trees);
  saveNextConflicts(workspace.state, conflicts);
  const source = withConflictObjects(workspace.state, fetch);
  await stageSteps({ workspace, fetch: source }, plan.steps, { add() {} });
  expect(await recover({ workspace, fetch: offline })).toMatchObject({ kept: [] });
  expect(readFiles(root)).toEqual(files);
  expect(scan(workspace)).toMatchObject({ differences: [], conflicted: ["f", "g"] });
});

test("an edited side stays behind, and what was discarded is put back", async () => {
  using temporary = await inConflict();
  const { root, workspace } = temporary;
  writeFileSync(join(root, "f"), "resolved");
  rmSync(join(root, "g.~a~"));
  rmSync(join(root, "g.~b~"));
  const found = scan(workspace);
  expect(found.conflicted).toEqual([]);
  expect(found.differences.map(({ path, status }) => [path, status])).toEqual([
    ["f", "modified"],
    ["g", "deleted"],
  ]);
  const { fetch } = conflicted();
  await discard({ workspace, fetch }, () => true);
  expect(readFiles(root)).toEqual(files);
  expect(scan(workspace)).toMatchObject({ differences: [], conflicted: ["f", "g"] });

  writeFileSync(join(root, "g.~a~"), "edited");
  const { current, trees, fetch: source } = snapshotOf({ plain: "plain" });
  const { kept } = await checkout({ workspace, fetch: source }, current, trees);
  expect(readFiles(root)).toEqual({ "g.~a~": "edited", plain: "plain" });
  expect(kept).toEqual(["g.~a~"]);
});

test("a text that was edited and has markers yet is neither a conflict nor resolved", async () => {
  using temporary = await inConflict();
  const { root, workspace } = temporary;
  writeFileSync(join(root, "f"), marked.replace("ours", "more"));
  expect(scan(workspace)).toMatchObject({ conflicted: ["f", "g"], unfinished: ["f"] });
  writeFileSync(join(root, "f"), "<<<<<<<< a longer one\n");
  expect(scan(workspace)).toMatchObject({ conflicted: ["g"], unfinished: [] });
});

test("a conflict with an absent side is read as it was written", () => {
  using temporary = temporaryWorkspace();
  const { state } = temporary.workspace;
  const { sides, bases } = conflictOf("f", "ours", "old", "");
  const entry: ConflictEntry = { kind: "conflict", name: "f", sides: [sides[0], undefined], bases };
  const record = { path: "f", entry, names: ["a", "b"], files: [], standIns: [] };
  saveNextConflicts(state, { records: new Map([["f", record]]), objects: new Map() });
  promoteConflicts(state);
  const read = baseConflicts(state).get("f");
  expect(read).toStrictEqual(record);
  expect(equalEntries(read!.entry, entry)).toBe(true);
});
