/** Only the newest snapshots of a backup stay, with all that they need and nothing else. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { sha256, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import {
  claimBackup,
  listSnapshots,
  lockReaders,
  openBackup,
  pathOf,
  verifyBackup,
  type Backup,
} from "#server/backup/directory.ts";
import { encodeEnd, encodeHead, encodeRows } from "#server/backup/format.ts";
import { pruneBackup } from "#server/backup/prune.ts";
import { temporaryDirectory } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { refusal } from "../support/refusal.ts";

const { seed, random } = seededRandom();
console.log(`seed ${seed}`);
const serverId = crypto.randomUUID();
const names = [1, 2, 3, 4].map((day) => `2026-01-0${day}T00-00-00.000Z`);
const [first, second, third, fourth] = names as [string, string, string, string];

const all = Array.from({ length: 400 }, (_, index) => Buffer.from(`object ${index}`))
  .map((raw) => ({ hash: sha256(raw), encoded: encodeObject(raw) }))
  .sort((a, b) => Buffer.compare(a.hash, b.hash));
/** What each snapshot needs; some objects are of none. */
const needs = new Map(names.map((name) => [name, all.filter(() => random() < 0.3)]));
const neededBy = (...some: string[]) =>
  all.filter((object) => some.some((name) => needs.get(name)!.includes(object)));

let directory: Disposable & { path: string };
let copies = 0;
beforeAll(async () => {
  directory = temporaryDirectory();
  await using backup = await openBackup(join(directory.path, "0"), { create: true });
  claimBackup(backup, serverId);
  await backup.objects.putAll(all);
  for (const name of names) await writeSnapshot(backup, name);
});
afterAll(() => directory[Symbol.dispose]());

test("what is kept is whole, and what only the others needed is gone", async () => {
  await using backup = await openCopy();
  expect(await pruneBackup(backup, { keep: 9, made: fourth })).toMatchObject({ snapshots: [] });
  await expectOnly(backup, names);
  const before = await objectsIn(backup);
  const pruned = await pruneBackup(backup, { keep: 2, made: fourth });
  await expectOnly(backup, [third, fourth]);
  const objects = before.length - (await objectsIn(backup)).length;
  expect(pruned).toMatchObject({ snapshots: [first, second], objects });
  expect(pruned!.bytes).toBeGreaterThan(objects);
  const again = await pruneBackup(backup, { keep: 2, made: fourth });
  expect(again).toEqual({ snapshots: [], objects: 0, bytes: 0 });
});

test("the one just made stays, even if the clock was put back", async () => {
  await using backup = await openCopy();
  await pruneBackup(backup, { keep: 1, made: second });
  await expectOnly(backup, [second, fourth]);
});

test("whoever is interrupted has harmed nothing that stays, and the next goes on", async () => {
  await using backup = await openCopy();
  // After the snapshots, and then after every so many objects.
  for (let left = 0; ; left += 20) {
    let done = 0;
    const stop = new AbortController();
    const progress = { add: () => void (++done > left && stop.abort(new Error("stop"))) };
    const options = { keep: 1, made: fourth, signal: stop.signal, progress };
    const isDone = await pruneBackup(backup, options).then(Boolean, () => false);
    expect(await problemsOf(backup)).toEqual([]);
    expect(listSnapshots(backup)).toEqual([fourth]);
    if (isDone) break;
  }
  await expectOnly(backup, [fourth]);
});

test("nothing is deleted while a snapshot that stays is damaged", async () => {
  await using backup = await openCopy();
  truncateSync(pathOf(backup, third), 100);
  expect(await refusal(pruneBackup(backup, { keep: 2, made: fourth }))).toBe("corrupt");
  expect([listSnapshots(backup), (await objectsIn(backup)).length]).toEqual([names, all.length]);
  // One that goes may be damaged.
  await pruneBackup(backup, { keep: 1, made: fourth });
  await expectOnly(backup, [fourth]);
});

test("one writes at a time, and nothing is deleted while somebody reads", async () => {
  await using backup = await openCopy();
  const { directory: path } = backup;
  expect(await refusal(openBackup(path, { create: true }))).toBe("unavailable");
  {
    await using _ = await openBackup(path);
    await using _other = await openBackup(path);
    expect(await pruneBackup(backup, { keep: 1, made: fourth })).toBeUndefined();
    await expectOnly(backup, names, all);
  }
  {
    using _ = lockReaders(backup);
    expect(await refusal(openBackup(path))).toBe("unavailable");
  }
  await pruneBackup(backup, { keep: 1, made: fourth });
  await expectOnly(backup, [fourth]);
});

test("what somebody who was killed left behind is in nobody's way", async () => {
  const path = join(directory.path, "killed");
  await using _ = await openBackup(path, { create: true });
  await _[Symbol.asyncDispose]();
  writeFileSync(join(path, "backup.json.new"), "");
  writeFileSync(join(path, "snapshots", "half.new"), "");
  await using backup = await openBackup(path, { create: true });
  claimBackup(backup, serverId);
  expect(listSnapshots(backup)).toEqual([]);
});

/** A directory of backups that has all snapshots. */
async function openCopy(): Promise<Backup> {
  const path = join(directory.path, String(++copies));
  cpSync(join(directory.path, "0"), path, { recursive: true });
  return await openBackup(path, { create: true });
}

async function writeSnapshot(backup: Backup, name: string): Promise<void> {
  const rows = needs.get(name)!.map(({ hash, encoded }) =>
    JSON.stringify({
      hash: `\\x${toHex(hash)}`,
      stored_size: encoded.length,
      doomed_at: null,
    }),
  );
  const body = Buffer.concat([
    await encodeHead({ takenAt: new Date(), serverId, migrations: [] }),
    await encodeRows({ table: "objects", rows: rows.slice(0, 50) }),
    await encodeRows({ table: "objects", rows: rows.slice(50) }),
    await encodeEnd([]),
  ]);
  const whole = sha256Stream();
  whole.update(body);
  writeFileSync(pathOf(backup, name), Buffer.concat([body, whole.digest()]));
}

async function problemsOf(backup: Backup): Promise<string[]> {
  return (await Array.fromAsync(verifyBackup(backup))).flatMap(({ problems }) => problems);
}

async function objectsIn({ objects }: Backup): Promise<string[]> {
  return (await Array.fromAsync(objects.list(), toHex)).sort();
}

async function expectOnly(
  backup: Backup,
  snapshots: string[],
  objects: { hash: Hash }[] = neededBy(...snapshots),
): Promise<void> {
  expect(listSnapshots(backup)).toEqual(snapshots);
  expect(await objectsIn(backup)).toEqual(objects.map(({ hash }) => toHex(hash)));
  expect(await problemsOf(backup)).toEqual([]);
}
