/** What a push sends and what the server writes follow the edit, whatever the repository holds. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";

import { connect, type Sql } from "#server/db/connect.ts";
import { engines } from "../support/postgres.ts";
import { openScene, type Copy, type Scene } from "../support/scene.ts";
import type { Files } from "../support/workspace.ts";

const tables = ["versions", "files", "trees", "objects", "repository_objects", "changes"] as const;
const [engine] = engines;

let scene: Scene;
let sql: Sql;
let copy: Copy;
beforeAll(async () => {
  if (engine !== "postgres") return;
  scene = await openScene("postgres");
  sql = connect(scene.server.databaseUrl!);
  const ann = await scene.person("ann");
  copy = await ann.init(importedTree());
}, 60_000);
afterAll(async () => {
  await sql?.end();
  await scene?.[Symbol.asyncDispose]();
});

// 10 directories of 10 directories of 20 files; a file has contents of its own.
function importedTree(): Files {
  const files: Files = {};
  for (let index = 0; index < 2000; index++) files[pathOf(index)] = `contents of ${index}\n`;
  return files;
}

function pathOf(index: number): string {
  const [top, middle] = [Math.floor(index / 200), Math.floor(index / 20) % 10];
  return `top-${top}/middle-${middle}/file-${index}.txt`;
}

async function rows(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of tables) {
    const [row] = await sql<{ count: number }[]>`select count(*)::int from ${sql(table)}`;
    counts[table] = row?.count ?? 0;
  }
  return counts;
}

/** Pushes, and returns what was sent and the rows that were written. */
async function pushed() {
  const before = await rows();
  const { sent, files } = await copy.json("push", "-m", "edit");
  const after = await rows();
  const written = Object.fromEntries(
    tables.map((table) => [table, after[table]! - before[table]!]),
  );
  return { sent, files: files.length, written };
}

test.skipIf(engine !== "postgres")(
  "sent and written is what was edited, not what is there",
  async () => {
    // 1 root, 10 directories, 100 below them.
    expect(await pushed()).toEqual({
      sent: { objects: 2000, bytes: expect.any(Number), trees: 111 },
      files: 2000,
      written: {
        changes: 1,
        versions: 1,
        files: 2000,
        trees: 111,
        objects: 2000,
        repository_objects: 2000,
      },
    });

    copy.write({ [pathOf(777)]: "edited\n" });
    const one = await pushed();
    expect(one).toEqual({
      sent: { objects: 1, bytes: expect.any(Number), trees: 3 },
      files: 1,
      written: { changes: 0, versions: 1, files: 1, trees: 3, objects: 1, repository_objects: 1 },
    });
    expect(one.sent.bytes).toBeLessThan(100);

    // A hundred files in the first directories: 5 of those below the first two tops.
    await copy.ok("new");
    const edits = Array.from({ length: 100 }, (_, index) => [pathOf(index), `edited ${index}\n`]);
    copy.write(Object.fromEntries(edits));
    const hundred = await pushed();
    expect(hundred).toEqual({
      sent: { objects: 100, bytes: expect.any(Number), trees: 1 + 1 + 5 },
      files: 100,
      written: {
        changes: 1,
        versions: 1,
        files: 100,
        trees: 1 + 1 + 5,
        objects: 100,
        repository_objects: 100,
      },
    });
    expect(hundred.sent.bytes).toBeLessThan(100 * 100);

    // The same contents elsewhere: nothing but the root is new.
    await copy.ok("new");
    renameSync(join(copy.root, "top-3"), join(copy.root, "renamed"));
    expect(await pushed()).toEqual({
      sent: { objects: 0, bytes: 0, trees: 1 },
      files: 400,
      written: { changes: 1, versions: 1, files: 400, trees: 1, objects: 0, repository_objects: 0 },
    });

    // Words alone.
    const described = await pushed();
    expect(described.written).toMatchObject({ versions: 0 });
    await copy.ok("describe", "-m", "words");
    // And back to what was there before: the tree is known.
    renameSync(join(copy.root, "renamed"), join(copy.root, "top-3"));
    expect(await pushed()).toEqual({
      sent: { objects: 0, bytes: 0, trees: 0 },
      files: 400,
      written: { changes: 0, versions: 1, files: 400, trees: 0, objects: 0, repository_objects: 0 },
    });
  },
);
