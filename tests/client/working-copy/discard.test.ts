import { expect, test } from "bun:test";
import { chmodSync, existsSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { discard, listDiscards } from "#client/working-copy/discard.ts";
import { interruptedOperation } from "#client/working-copy/journal.ts";
import { scan } from "#client/working-copy/scan.ts";
import { readFiles, snapshotOf, temporaryWorkspace, writeFiles } from "../../support/workspace.ts";

const files = { a: "1", "d/b": "1", "d/c": "1", mode: "1", link: { link: "a" } };

async function edited() {
  const temporary = temporaryWorkspace();
  const { root, workspace } = temporary;
  const { current, trees, fetch } = snapshotOf(files);
  await checkout({ workspace, fetch }, current, trees);
  writeFileSync(join(root, "a"), "mine");
  rmSync(join(root, "d"), { recursive: true });
  rmSync(join(root, "link"));
  symlinkSync("d", join(root, "link"));
  chmodSync(join(root, "mode"), 0o755);
  writeFiles(root, { d: "mine", "new/deep/file": { run: "mine" } });
  return { ...temporary, fetch };
}

test("files are put back, and what was thrown away is kept and named", async () => {
  using temporary = await edited();
  const { root, workspace, fetch } = temporary;
  const result = await discard({ workspace, fetch }, () => true);
  expect(readFiles(root)).toEqual({
    a: "1",
    "d/b": "1",
    "d/c": "1",
    link: { link: "a" },
    mode: "1",
  });
  expect(existsSync(join(root, "new"))).toBe(false);
  expect(result?.kept).toEqual([]);
  const kept = result!.discard;
  expect(kept.files).toEqual([
    { path: "a", status: "modified" },
    { path: "d", status: "added" },
    { path: "d/b", status: "deleted" },
    { path: "d/c", status: "deleted" },
    { path: "link", status: "modified" },
    { path: "mode", status: "modified", executable: true },
    { path: "new/deep/file", status: "added" },
  ]);
  expect(readFiles(kept.directory)).toEqual({
    a: "mine",
    d: "mine",
    link: { link: "d" },
    "new/deep/file": { run: "mine" },
  });
  expect(listDiscards(workspace)).toEqual([kept]);
  expect(scan(workspace).differences).toEqual([]);
  expect(await discard({ workspace, fetch }, () => true)).toBeUndefined();
});

test("only the paths that are wanted are discarded", async () => {
  using temporary = await edited();
  const { root, workspace, fetch } = temporary;
  await discard({ workspace, fetch }, (path) => path === "a");
  const found = scan(workspace).differences.map(({ path }) => path);
  expect(found).toEqual(["d", "d/b", "d/c", "link", "mode", "new/deep/file"]);
  expect(readFiles(root)["a"]).toBe("1");
});

test("without the server nothing is discarded", async () => {
  using temporary = await edited();
  const { root, workspace } = temporary;
  const before = readFiles(root);
  const fetch = () => {
    throw new Error("offline");
  };
  const failure = await discard({ workspace, fetch }, () => true).catch((error) => error);
  expect(failure.message).toBe("offline");
  expect(readFiles(root)).toEqual(before);
  expect(interruptedOperation(workspace)).toBeUndefined();
  expect(listDiscards(workspace)).toEqual([]);
  expect(await recover({ workspace, fetch })).toBeUndefined();
});

test("old discards are forgotten, the last one never", async () => {
  using temporary = await edited();
  const { root, workspace, fetch } = temporary;
  const first = await discard({ workspace, fetch }, () => true);
  const database = workspace.state.database;
  database.run("update discards set created_at = 0");
  writeFileSync(join(root, "a"), "again");
  const second = await discard({ workspace, fetch }, () => true);
  expect(listDiscards(workspace)).toEqual([second!.discard]);
  expect(existsSync(first!.discard.directory)).toBe(false);
  expect(existsSync(second!.discard.directory)).toBe(true);
});
