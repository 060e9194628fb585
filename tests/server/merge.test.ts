import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { readWholeContents } from "#client/contents.ts";
import { newRequestId, type Remote } from "#client/remote.ts";
import { decodeTree, type FileEntry } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { SyncOutcome } from "#gen/pogo/v1/merge.ts";
import { engines } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import type { Snapshot } from "../support/snapshot.ts";

const {
  SYNC_OUTCOME_IN_SYNC: inSync,
  SYNC_OUTCOME_CREATED: created,
  SYNC_OUTCOME_FAST_FORWARDED: fastForwarded,
  SYNC_OUTCOME_MERGED: merged,
  SYNC_OUTCOME_BEHIND: behind,
  SYNC_OUTCOME_CONFLICTED: conflicted,
} = SyncOutcome;

const lines = (...texts: string[]) => texts.map((text) => `${text}\n`).join("");

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let remote: Remote;
  let names = 0;
  beforeAll(async () => {
    server = await startTestServer(engine);
    remote = await createRemote(await server.user("ann"), "shared");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function change(snapshot: Snapshot, ...parents: Change[]): Promise<Change> {
    const refs = parents.map(({ name, version, description, prefix }) => {
      return { change: name, version, description, prefix };
    });
    return (await publish(remote, snapshot, { parents: refs, description: "d" })).change!;
  }

  async function merge(...changes: Change[]) {
    return await remote.mergeChanges({
      requestId: newRequestId(),
      revisions: changes.map(({ name }) => name),
      description: "both",
      change: newChangeName(),
    });
  }

  async function entryOf({ name }: Change, path: string) {
    const { entry } = await remote.getEntry(name, path);
    return entry?.$case === "entryTree" ? decodeTree(entry.value)[0] : undefined;
  }

  async function textOf(of: Change, path: string): Promise<string> {
    const entry = (await entryOf(of, path)) as FileEntry;
    return Buffer.from((await readWholeContents(remote, [entry], 1e6))(entry.hash)!).toString();
  }

  async function sync(bookmark: string, { name }: Change, rebase = false) {
    return await remote.syncBookmark({
      rebase,
      requestId: newRequestId(),
      bookmark,
      revision: name,
      description: "",
      change: newChangeName(),
    });
  }

  test("edits of two changes end up in one file, and new files beside it", async () => {
    const base = await change({ f: lines("1", "2", "3", "4", "5"), "d/kept": "k" });
    const a = await change({ f: lines("one", "2", "3", "4", "5"), "d/kept": "k", a: "a" }, base);
    const b = await change({ f: lines("1", "2", "3", "4", "five"), "d/kept": "k", b: "b" }, base);
    const { change: made, conflicts } = await merge(a, b);
    expect(conflicts).toEqual([]);
    expect(made).toMatchObject({ conflicted: false, fileCount: 4, description: "both" });
    expect(made!.parents.map((parent) => parent.change)).toEqual([a.name, b.name]);
    expect(await textOf(made!, "f")).toBe(lines("one", "2", "3", "4", "five"));
    const touching = await Array.fromAsync(
      remote.listChanges({ revisions: [made!.name], paths: ["b"], limit: 5 }),
    );
    expect(touching.map(({ name }) => name)).toEqual([made!.name, b.name]);
  });

  test("edits of the same lines are a conflict of both sides and their base", async () => {
    const base = await change({ f: "old\n", d: "x" });
    const a = await change({ f: "ours\n", d: "x" }, base);
    const b = await change({ f: "theirs\n", d: "y" }, base);
    const { change: made, conflicts } = await merge(a, b);
    expect(conflicts).toEqual(["f"]);
    expect(made!.conflicted).toBe(true);
    const terms = await Promise.all([a, base, b].map((from) => entryOf(from, "f")));
    const [ours, old, theirs] = terms.map((entry) => (entry as FileEntry).hash);
    expect(await entryOf(made!, "f")).toMatchObject({
      kind: "conflict",
      sides: [{ hash: ours }, { hash: theirs }],
      bases: [{ hash: old }],
    });
    // The conflict is kept by a merge that has nothing to do with it.
    const other = await change({ f: "old\n", d: "x", g: "g" }, base);
    const again = await merge(made!, other);
    expect(again.change!.conflicted).toBe(true);
    expect(again.conflicts).toEqual([]);
  });

  test("what a criss-cross decided is not asked again", async () => {
    const base = await change({ f: lines("1", "2", "3") });
    const a = await change({ f: lines("A", "2", "3") }, base);
    const b = await change({ f: lines("1", "2", "B") }, base);
    const left = (await merge(a, b)).change!;
    const right = (await merge(b, a)).change!;
    const l = await change({ f: lines("A", "L", "B") }, left);
    const r = await change({ f: lines("A", "2", "B"), r: "r" }, right);
    const { change: made, conflicts } = await merge(l, r);
    expect(conflicts).toEqual([]);
    expect(await textOf(made!, "f")).toBe(lines("A", "L", "B"));
  });

  test("a later version of a parent is merged against the one that was built on", async () => {
    const first = await change({ f: "f", gone: "x" });
    const second = await publish(
      remote,
      { f: "f" },
      { change: first.name, expectedVersion: first.version },
    );
    const child = await change({ f: "f", gone: "x", c: "c" }, first);
    const { change: made, conflicts } = await merge(child, second.change!);
    expect(conflicts).toEqual([]);
    expect(await entryOf(made!, "c")).toBeDefined();
    expect(made!.fileCount).toBe(2);
  });

  test("merging with an ancestor gives the descendant's files, three parents all of theirs", async () => {
    const base = await change({ f: "f" });
    const a = await change({ f: "f", a: "a" }, base);
    const b = await change({ f: "f", b: "b" }, base);
    const c = await change({ f: "f", c: "c" }, base);
    expect((await merge(base, a)).change!.tree).toEqual(a.tree);
    const { change: made } = await merge(a, b, c);
    expect(made).toMatchObject({ fileCount: 4, conflicted: false });
    expect(made!.parents).toHaveLength(3);
  });

  test("a request that is sent again is answered again", async () => {
    const base = await change({ f: "old\n" });
    const a = await change({ f: "ours\n" }, base);
    const b = await change({ f: "theirs\n" }, base);
    const request = {
      requestId: newRequestId(),
      revisions: [a.name, b.name],
      description: "",
      change: newChangeName(),
    };
    const [one, two] = await Promise.all([
      remote.mergeChanges(request),
      remote.mergeChanges(request),
    ]);
    expect(two).toEqual(one);
    expect(await remote.mergeChanges(request)).toEqual(one);
    const other = { ...request, requestId: newRequestId() };
    expect(await refusal(remote.mergeChanges(other))).toBe("already-exists");
    const alone = { ...other, change: newChangeName(), revisions: [a.name] };
    expect(await refusal(remote.mergeChanges(alone))).toBe("usage");
    const twice = { ...alone, revisions: [a.name, a.name] };
    expect(await refusal(remote.mergeChanges(twice))).toBe("usage");
  });

  test("a bookmark is created, follows, stays, and is caught up with", async () => {
    const bookmark = `trunk${++names}`;
    const first = await change({ f: "1" });
    expect(await sync(bookmark, first)).toMatchObject({ outcome: created });
    expect(await sync(bookmark, first)).toMatchObject({ outcome: inSync });
    const second = await change({ f: "2" }, first);
    const moved = await sync(bookmark, second);
    expect(moved).toMatchObject({ outcome: fastForwarded, conflicts: [] });
    expect(moved.change).toMatchObject({ name: second.name, bookmarks: [bookmark] });
    const late = await sync(bookmark, first);
    expect(late.outcome).toBe(behind);
    expect(late.change!.name).toBe(second.name);
  });

  test("a change that was described since is neither merged nor rebased for that", async () => {
    const bookmark = `trunk${++names}`;
    const first = await change({ f: "1" });
    const second = await change({ f: "2" }, first);
    await sync(bookmark, first);
    await remote.describeChange(first.name, "described");
    expect(await sync(bookmark, second)).toMatchObject({ outcome: fastForwarded });
    await remote.describeChange(first.name, "described again");
    const late = await sync(bookmark, first);
    expect(late.outcome).toBe(behind);
    expect(late.change!.name).toBe(second.name);
    expect(late).toEqual(await sync(bookmark, first, true));
    const third = await change({ f: "3" }, second);
    await remote.describeChange(second.name, "described, too");
    expect(await sync(bookmark, third, true)).toMatchObject({ outcome: fastForwarded });
  });

  test("a conflict leaves the bookmark; resolved, the merge is where it goes", async () => {
    const bookmark = `trunk${++names}`;
    const base = await change({ f: "old\n" });
    const a = await change({ f: "ours\n" }, base);
    const b = await change({ f: "theirs\n" }, base);
    await sync(bookmark, a);
    const open = await sync(bookmark, b);
    expect(open).toMatchObject({ outcome: conflicted, conflicts: ["f"] });
    expect((await remote.getChange(bookmark)).name).toBe(a.name);
    expect(await refusal(sync(bookmark, open.change!))).toBe("conflict");
    const { name, version } = open.change!;
    const resolved = await publish(
      remote,
      { f: "both\n" },
      { change: name, expectedVersion: version },
    );
    expect(resolved.change).toMatchObject({ conflicted: false, version: 2 });
    expect(await sync(bookmark, resolved.change!)).toMatchObject({ outcome: fastForwarded });
    expect((await remote.getChange(bookmark)).name).toBe(name);
  });

  test("of many who sync at once everybody's change lands", async () => {
    const bookmark = `trunk${++names}`;
    const base = await change({ f: "f" });
    await sync(bookmark, base);
    const people = Array.from({ length: 8 }, (_, index) => `p${index}`);
    const changes = [];
    for (const person of people) changes.push(await change({ f: "f", [person]: person }, base));
    const answers = await Promise.all(changes.map((own) => sync(bookmark, own)));
    const outcomes = answers.map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual([fastForwarded, ...people.slice(1).map(() => merged)]);
    const trunk = await remote.getChange(bookmark);
    expect(trunk.fileCount).toBe(people.length + 1);
    const listed = remote.listChanges({ revisions: [bookmark], paths: [], limit: 100 });
    const landed = new Set((await Array.fromAsync(listed)).map(({ name }) => name));
    expect(changes.filter(({ name }) => !landed.has(name))).toEqual([]);
  });
});
