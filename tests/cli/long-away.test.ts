/** Who comes back after what the working copy is at was replaced and given up loses nothing. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";

import { dayMs } from "#core/limits.ts";
import { connect } from "#server/db/connect.ts";
import { collect, collectDefaults } from "#server/gc/collect.ts";
import { openDiskStore } from "#server/store/disk.ts";
import { pass } from "../support/gc-world.ts";
import { engines, startMs } from "../support/postgres.ts";
import { openScene, steady, type Copy, type Person, type Scene } from "../support/scene.ts";
import { readFiles, type Files } from "../support/workspace.ts";

setDefaultTimeout(startMs);

const replaced: Files = { "a.txt": "1\n2\n3\n4\n", "b.txt": "1\n", "d/c.txt": "1\n", root: "0\n" };
const replacing: Files = { ...replaced, "a.txt": "1\n2\n3\nfour\n", "d/c.txt": "theirs\n" };

// The embedded database is its server's alone: nobody could collect from beside.
describe.skipIf(engines[0] !== "postgres")("a push onto what was given up", () => {
  const closing = new AsyncDisposableStack();
  let name: string;
  // At the change's first version, while it is at its second; and a draft on that.
  let own: Copy;
  let described: Copy;
  let bobs: Copy;
  let draft: Copy;
  beforeAll(async () => {
    const scene = closing.use(await openScene("postgres"));
    const [ann, bob] = [await scene.person("ann"), await scene.person("bob")];
    const first = await ann.init({ root: "0\n" });
    await first.ok("member", "set", first.repository, "bob", "write");
    await first.ok("push", "-m", "root");
    await first.ok("new", "-m", "shared");
    first.write(replaced);
    await first.ok("push");
    ({ name } = (await first.json("status")).change);
    const { repository } = first;
    [own, described] = [await clone(ann, repository, name), await clone(ann, repository, name)];
    [bobs, draft] = [await clone(bob, repository, name), await bob.clone(repository, "-r", name)];
    first.write(replacing);
    await first.ok("push");
    await giveUp(scene);
  });
  afterAll(() => closing.disposeAsync());

  test("of somebody else's change is a change beside it, with all of its files", async () => {
    bobs.write({ "b.txt": "bob\n" });
    expect(steady(await bobs.ok("push", "-m", "bob's"))).toBe(
      "pushed change-1 bob's (1 file) on change-2: what it was made on is gone\n",
    );
    expect(await pushed(bobs)).toEqual({ ...replaced, "b.txt": "bob\n" });
  });

  test("of a draft stands on what that stood on", async () => {
    draft.write({ "b.txt": "draft\n" });
    expect(steady(await draft.ok("push", "-m", "draft"))).toBe(
      "pushed change-1 draft (1 file) on change-2: what it was made on is gone\n",
    );
    expect(await pushed(draft)).toEqual({ ...replaced, "b.txt": "draft\n" });
    expect(await draft.ok("status")).toMatch(/^parent [k-z]+ root$/m);
  });

  test("of one's own change diverges as ever, and is merged as far as it goes", async () => {
    own.write({ "a.txt": "one\n2\n3\n4\n" });
    const conflict = { code: "conflict", message: expect.stringContaining("yours is kept") };
    expect(await own.fails("push")).toMatchObject(conflict);
    expect(await pushed(own)).toEqual({ ...replaced, "a.txt": "one\n2\n3\n4\n" });
    // Nothing of the files is new.
    expect(await described.fails("push", "-m", "described")).toMatchObject(conflict);
    expect(await pushed(described)).toEqual(replaced);

    await own.ok("new", "-m", "on mine");
    own.write({ more: "" });
    await own.ok("push");
    await own.ok("new", "@", name);
    expect(readFiles(own.root)).toMatchObject({
      "a.txt": expect.stringMatching(/^<<<<<<<[^]*^one\n[^]*^four\n[^]*^>>>>>>>/m),
      "b.txt": "1\n",
      more: "",
    });
  });
});

/** Makes a working copy of a revision. */
async function clone(person: Person, repository: string, revision: string): Promise<Copy> {
  const copy = await person.clone(repository);
  await copy.ok("edit", revision);
  return copy;
}

/** What others get of the change that a working copy is at. */
async function pushed(copy: Copy): Promise<Files> {
  const { change } = await copy.json("status");
  const { person, repository } = copy;
  return readFiles((await person.clone(repository, "-r", `${change.name}@${change.version}`)).root);
}

/** Lets the time pass after which the server gives up what was replaced. */
async function giveUp({ server }: Scene): Promise<void> {
  const sql = connect(server.databaseUrl!);
  await using store = await openDiskStore(join(server.dataDirectory, "objects"));
  try {
    await pass(sql, collectDefaults.retentionMs);
    for (let round = 0; round < 3; round++) {
      await pass(sql, 1.5 * dayMs);
      await Array.fromAsync(collect({ sql, store }, collectDefaults));
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}
