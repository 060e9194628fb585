/** Large files: what of them is fetched, and what is found in the working copy. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkout, recover } from "#client/working-copy/checkout.ts";
import { discard } from "#client/working-copy/discard.ts";
import { interruptedOperation } from "#client/working-copy/journal.ts";
import { scan } from "#client/working-copy/scan.ts";
import type { ObjectSource } from "#client/working-copy/stage.ts";
import { openWorkspace, type Workspace } from "#client/workspace.ts";
import { equalHashes, sha256 } from "#core/hash.ts";
import { startMs } from "../../support/postgres.ts";
import { randomBytes } from "../../support/random.ts";
import {
  readFiles,
  plainFiles,
  snapshotOf,
  temporaryWorkspace,
  type Files,
  type Snapshot,
} from "../../support/workspace.ts";

setDefaultTimeout(startMs);

const mib = 1024 * 1024;
const size = 16 * mib;
const edited = 1 * mib;
// What was edited, and what is left of the chunks at both ends of it, the list not counted.
const fetchedMax = 4 * mib;
const contents = randomBytes(1, size);
const first = snapshotOf({ large: contents });

/** Counts the contents that come from a source. */
function counted(fetch: ObjectSource) {
  const count = { objects: 0, bytes: 0 };
  const source: ObjectSource = async function* (wanted) {
    for await (const object of fetch(wanted)) {
      count.objects++;
      count.bytes += object.bytes.length;
      yield object;
    }
  };
  return { count, source };
}

async function checkedOut({ current, trees, fetch }: Snapshot) {
  const temporary = temporaryWorkspace();
  await checkout({ workspace: temporary.workspace, fetch }, current, trees);
  return temporary;
}

/** Goes on to other files and says what was fetched for it. */
async function goTo(workspace: Workspace, files: Files, fetch?: ObjectSource) {
  const snapshot = snapshotOf(files);
  const { count, source } = counted(fetch ?? snapshot.fetch);
  const { kept } = await checkout({ workspace, fetch: source }, snapshot.current, snapshot.trees);
  return { ...count, kept };
}

function expectFiles(workspace: Workspace, files: Files): void {
  expect(readFiles(workspace.root)).toEqual(plainFiles(files));
  expect(scan(workspace).differences).toEqual([]);
  expect(readdirSync(workspace.control)).not.toContain("partial");
  expect(readdirSync(workspace.control)).not.toContain("incoming");
}

function overwritten(offset: number): Uint8Array {
  const copy = contents.slice();
  copy.set(randomBytes(2, edited), offset);
  return copy;
}

function inserted(offset: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([contents.subarray(0, offset), bytes, contents.subarray(offset)]);
}

test.each([
  ["overwritten at the start", overwritten(0)],
  ["overwritten in the middle", overwritten(size / 2)],
  ["overwritten at the end", overwritten(size - edited)],
  ["inserted at the start", inserted(0, randomBytes(3, 1000))],
  ["inserted in the middle", inserted(size / 2, randomBytes(3, 1000))],
  ["appended", inserted(size, randomBytes(3, edited))],
  ["removed from the middle", Buffer.concat([contents.subarray(0, 9e6), contents.subarray(1e7)])],
  ["swapped", Buffer.concat([contents.subarray(size / 2), contents.subarray(0, size / 2)])],
])("of an edited file, what differs is fetched: %s", async (_, large) => {
  using temporary = await checkedOut(first);
  const { workspace } = temporary;
  const { bytes, kept } = await goTo(workspace, { large });
  expect(bytes).toBeLessThan(fetchedMax);
  expect(kept).toEqual([]);
  expectFiles(workspace, { large });
});

test("a file that was renamed, copied or discarded is made of what is there", async () => {
  using temporary = await checkedOut(first);
  const { root, workspace } = temporary;
  const moved = overwritten(size / 2);
  expect((await goTo(workspace, { "d/moved": moved })).bytes).toBeLessThan(fetchedMax);
  expectFiles(workspace, { "d/moved": moved });

  const copied = { "d/moved": moved, copy: moved, "d/executable": { run: "x" } };
  expect((await goTo(workspace, copied)).objects).toBe(2);
  expectFiles(workspace, copied);

  writeFileSync(join(root, "copy"), contents);
  const { count, source } = counted(snapshotOf(copied).fetch);
  await discard({ workspace, fetch: source }, () => true);
  expect(count.bytes).toBeLessThan(fetchedMax);
  expectFiles(workspace, copied);
});

test("files of a first checkout that share chunks, and chunks that repeat, come once", async () => {
  using temporary = temporaryWorkspace();
  const { workspace } = temporary;
  const files = { a: contents, b: overwritten(0), zeros: new Uint8Array(size), again: contents };
  const { bytes } = await goTo(workspace, files);
  expect(bytes).toBeLessThan(size + fetchedMax);
  expectFiles(workspace, files);
});

test("an old file that is altered meanwhile is not believed, and not lost", async () => {
  using temporary = await checkedOut(first);
  const { root, workspace } = temporary;
  const moved = overwritten(0);
  const snapshot = snapshotOf({ moved });
  const altered = contents.slice();
  for (let offset = 0; offset < size; offset += 2 * mib) altered[offset] = ~altered[offset]!;
  const fetch: ObjectSource = (wanted) => {
    writeFileSync(join(root, "large"), altered);
    return snapshot.fetch(wanted);
  };
  const { bytes, kept } = await goTo(workspace, { moved }, fetch);
  expect(kept).toEqual(["large"]);
  expect(bytes).toBeGreaterThan(size / 3);
  expect(readFiles(root)).toEqual(plainFiles({ moved, large: altered }));
});

test("what cannot be read as an old file is no more than fetched", async () => {
  using temporary = await checkedOut(first);
  const { root, workspace } = temporary;
  const snapshot = snapshotOf({ moved: contents });
  const fetch: ObjectSource = (wanted) => {
    if (existsSync(join(root, "large"))) renameSync(join(root, "large"), join(root, "away"));
    return snapshot.fetch(wanted);
  };
  expect((await goTo(workspace, { moved: contents }, fetch)).bytes).toBeGreaterThan(size);
  expect(readFiles(root)).toEqual(plainFiles({ moved: contents, away: contents }));
});

test("a source that breaks off is gone on with", async () => {
  const other = { large: randomBytes(5, size), second: randomBytes(6, size / 2) };
  for (const isFirst of [true, false]) {
    using temporary = isFirst ? temporaryWorkspace() : await checkedOut(first);
    const { root, workspace } = temporary;
    const { current, trees, fetch } = snapshotOf(other);
    let left = size * 1.2;
    const breaking: ObjectSource = async function* (wanted) {
      for await (const object of fetch(wanted)) {
        if ((left -= object.bytes.length) < 0) throw new Error("connection lost");
        yield object;
      }
    };
    const attempt = checkout({ workspace, fetch: breaking }, current, trees);
    expect(await attempt.catch((error) => error.message)).toBe("connection lost");
    const again = counted(fetch);
    if (isFirst) await recover({ workspace, fetch: again.source });
    else await checkout({ workspace, fetch: again.source }, current, trees);
    expect(again.count.bytes).toBeLessThan(size * 0.3 + fetchedMax);
    expectFiles(openWorkspace(root), other);
  }
});

test("an unfinished file that was damaged or is of no use is not believed, nor kept", async () => {
  using temporary = await checkedOut(first);
  const { workspace } = temporary;
  const next = { large: randomBytes(7, size) };
  const { current, trees, fetch } = snapshotOf(next);
  const partial = join(workspace.control, "partial");
  const breakOff = async () => {
    let left = 16;
    const breaking: ObjectSource = async function* (wanted) {
      for await (const object of fetch(wanted)) {
        if (left-- === 0) throw new Error("connection lost");
        yield object;
      }
    };
    await checkout({ workspace, fetch: breaking }, current, trees).catch(() => {});
    expect(interruptedOperation(workspace)).toBeUndefined();
  };
  await breakOff();
  const [name] = readdirSync(partial);
  const bytes = readFileSync(join(partial, name!));
  bytes[5_000_000]! ^= 1;
  writeFileSync(join(partial, name!), Buffer.concat([bytes, new Uint8Array(size)]));
  await goTo(workspace, next, fetch);
  expectFiles(workspace, next);

  await goTo(workspace, { large: contents });
  await breakOff();
  await goTo(workspace, { small: "1" });
  expectFiles(workspace, { small: "1" });
});

test("a list of other chunks makes no file", async () => {
  using temporary = await checkedOut(first);
  const { workspace } = temporary;
  const [large, wrong] = [overwritten(0), overwritten(mib)];
  const { current, trees } = snapshotOf({ large });
  const other = snapshotOf({ large: wrong });
  const fetch: ObjectSource = async function* (wanted) {
    for (const { hash } of wanted) {
      const sent = equalHashes(hash, sha256(large)) ? sha256(wrong) : hash;
      for await (const { bytes } of other.fetch([{ hash: sent, size }])) yield { hash, bytes };
    }
  };
  const attempt = checkout({ workspace, fetch }, current, trees);
  expect((await attempt.catch((error) => error)).code).toBe("corrupt");
  expect(readFiles(workspace.root)).toEqual(plainFiles({ large: contents }));
  expect(readdirSync(join(workspace.control, "partial"))).toEqual([]);
});
