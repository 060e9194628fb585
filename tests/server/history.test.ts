import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, openRemote, type Remote } from "#client/remote.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { RebaseScope, HistoryServiceService as Histories } from "#gen/pogo/v1/history.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { CommitOutcome } from "#gen/pogo/v1/push.ts";
import type { Channel } from "#rpc/channel.ts";
import { openHistoryModel } from "../support/history-model.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish, upload } from "../support/publish.ts";
import { seededRandom } from "../support/random.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import type { Snapshot } from "../support/snapshot.ts";

setDefaultTimeout(startMs * 4);

const {
  REBASE_SCOPE_CHANGE: alone,
  REBASE_SCOPE_SOURCE: source,
  REBASE_SCOPE_BRANCH: branch,
} = RebaseScope;

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let remote: Remote;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
    remote = await createRemote(ann, "edited");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function add(files: Snapshot, ...on: Change[]): Promise<Change> {
    const parents = on.map(({ name, version }) => {
      return { change: name, version, description: "", prefix: "" };
    });
    const description = Object.keys(files).at(-1) ?? "";
    return (await publish(remote, files, { parents, description })).change!;
  }

  async function rebase(scope: RebaseScope, { name }: Change, ...onto: Change[]) {
    const destinations = onto.map((change) => change.name);
    const request = { requestId: newRequestId(), scope, revision: name, destinations };
    return await remote.rebaseChanges(request);
  }

  const now = ({ name }: Change) => remote.getChange(name);
  const parentsOf = async (change: Change) =>
    (await now(change)).parents.map((parent) => parent.change);

  test("whatever is done to a random history, every change holds its own edits", async () => {
    const { seed, random } = seededRandom();
    const model = openHistoryModel(remote, random);
    try {
      for (let step = 0; step < 7; step++) await model.grow();
      // The embedded database is slow.
      const steps = engine === "postgres" ? 25 : 10;
      for (let step = 0; step < steps; step++) {
        await model.edit();
        await model.check();
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${model.story.join("; ")}`, { cause: error });
    }
  });

  test("a rebase there and back leaves the trees as they were, whatever conflicted", async () => {
    const root = await add({ f: "old\n", g: "g\n" });
    const other = await add({ f: "other\n", g: "g\n", o: "o\n" }, root);
    const one = await add({ f: "one\n", g: "g\n" }, root);
    const two = await add({ f: "two\n", g: "g2\n" }, one);
    const there = await rebase(source, one, other);
    expect(there).toMatchObject({ count: 2, conflicted: 2 });
    expect(there.changes.map(({ name }) => name)).toEqual([one.name, two.name]);
    expect(await now(two)).toMatchObject({ conflicted: true, version: 2 });
    const back = await rebase(source, one, root);
    expect(back).toMatchObject({ count: 2, conflicted: 0 });
    expect((await now(one)).tree).toEqual(one.tree);
    expect((await now(two)).tree).toEqual(two.tree);
    expect(await rebase(source, one, root)).toMatchObject({ count: 0 });
  });

  test("a merge follows, and keeps how it was resolved", async () => {
    const root = await add({ f: "old\n" });
    const left = await add({ f: "left\n" }, root);
    const right = await add({ f: "right\n" }, root);
    const merge = await add({ f: "both\n", m: "m" }, left, right);
    const base = await add({ f: "old\n", b: "b" }, root);
    await rebase(source, left, base);
    const followed = await now(merge);
    expect(followed.conflicted).toBe(false);
    expect(followed.tree).toEqual(await upload(remote, { f: "both\n", m: "m", b: "b" }));
    expect(followed.parents.map(({ version }) => version)).toEqual([2, 1]);
    await rebase(branch, merge, base);
    expect(await parentsOf(merge)).toEqual([left.name, right.name]);
    expect(await parentsOf(right)).toEqual([base.name]);
    expect((await now(merge)).tree).toEqual(followed.tree);
  });

  test("what a rebased change touches is what the log of a file lists", async () => {
    const root = await add({ f: "f" });
    const one = await add({ f: "f", one: "1" }, root);
    const two = await add({ f: "f", one: "1", two: "2" }, one);
    await rebase(alone, two, root);
    const query = { revisions: [two.name], paths: ["one"], limit: 0 };
    expect(await Array.fromAsync(remote.listChanges(query))).toEqual([]);
    const own = await Array.fromAsync(remote.listChanges({ ...query, paths: ["two"] }));
    expect(own.map(({ name }) => name)).toEqual([two.name]);
  });

  test("a change cannot come to stand on itself", async () => {
    const root = await add({ f: "f" });
    const one = await add({ f: "f", a: "a" }, root);
    const two = await add({ f: "f", a: "a", b: "b" }, one);
    expect(await refusal(rebase(source, one, two))).toBe("usage");
    expect(await refusal(rebase(source, one, one))).toBe("usage");
    expect(await refusal(rebase(alone, one, two, two))).toBe("usage");
    expect(await rebase(branch, root, two)).toMatchObject({ count: 0 });
    await rebase(alone, one, two);
    expect(await parentsOf(one)).toEqual([two.name]);
    expect(await parentsOf(two)).toEqual([root.name]);
  });

  test("a request that is sent again is answered again, and to nobody else", async () => {
    const root = await add({ f: "f" });
    const one = await add({ f: "f", a: "a" }, root);
    const two = await add({ f: "f", a: "a", b: "b" }, one);
    const asked = { repository: "edited", requestId: newRequestId() };
    const request = { ...asked, scope: source, revision: two.name, destinations: [root.name] };
    const first = await ann.unary(Histories.rebaseChanges, request);
    await rebase(source, two, one);
    expect((await ann.unary(Histories.rebaseChanges, request)).rewriting).toMatchObject({
      count: 1,
      changes: [{ version: 2, tree: first.rewriting!.changes[0]!.tree }],
    });
    const other = { ...request, destinations: [one.name] };
    expect(await refusal(ann.unary(Histories.rebaseChanges, other))).toBe("usage");
    const bob = await server.user("bob");
    expect(await refusal(bob.unary(Histories.rebaseChanges, request))).toBe("not-found");
  });

  test("those who rewrite, build and remove at once all get their way", async () => {
    const root = await add({ f: "f" });
    const other = await add({ f: "f", other: "other" }, root);
    const files: Snapshot = { f: "f" };
    const line: Change[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      files[name] = name;
      line.push(await add({ ...files }, line.at(-1) ?? root));
    }
    const [a, b, c, d] = line as [Change, Change, Change, Change];
    const [, , , child] = await Promise.all([
      rebase(source, a, other),
      remote.removeChange(b.name),
      rebase(source, d, root),
      add({ ...files, child: "child" }, d),
    ]);
    expect(await parentsOf(c)).toEqual([a.name]);
    expect(await parentsOf(a)).toEqual([other.name]);
    expect((await now(c)).tree).toEqual(
      await upload(remote, { f: "f", other: "other", a: "a", c: "c" }),
    );
    const standing = await upload(remote, { f: "f", d: "d", child: "child" });
    await rebase(source, d, c);
    await rebase(source, d, root);
    expect(await parentsOf(child)).toEqual([d.name]);
    expect((await now(child)).tree).toEqual(standing);
  });

  test("who builds on a version that was put aside keeps what it held", async () => {
    const root = await add({ f: "f" });
    const theirs = await add({ f: "f", t: "1" }, root);
    const next = { change: theirs.name, expectedVersion: 1 };
    await publish(remote, { f: "f", t: "2" }, next);
    const aside = await publish(remote, { f: "f", t: "1", mine: "mine" }, next);
    expect(aside.outcome).toBe(CommitOutcome.COMMIT_OUTCOME_DIVERGED);
    const child = await add({ f: "f", t: "1", mine: "mine", c: "c" }, aside.change!);
    const other = await add({ f: "f", o: "o" }, root);
    await rebase(source, theirs, other);
    const { tree } = await now(child);
    const kept = { f: "f", o: "o", t: "1", mine: "mine", c: "c" };
    expect(tree).toEqual(await upload(remote, kept));
  });

  test("a sealed change is rewritten when a commit says so", async () => {
    const root = await add({ f: "f" });
    const one = await add({ f: "f", one: "1" }, root);
    const two = await add({ f: "f", one: "1", two: "2" }, one);
    await remote.setBookmark("named", one.name);
    const request = { change: one.name, expectedVersion: 1, rewrite: true };
    const requestId = newRequestId();
    const better = { f: "f", one: "better" };
    const first = await publish(remote, better, { ...request, requestId });
    expect(first.outcome).toBe(CommitOutcome.COMMIT_OUTCOME_REWRITTEN);
    expect(first.change).toMatchObject({ name: one.name, version: 2, bookmarks: ["named"] });
    expect(first.rewriting).toMatchObject({ count: 2 });
    expect(await publish(remote, better, { ...request, requestId })).toEqual(first);
    expect((await now(two)).tree).toEqual(await upload(remote, { ...better, two: "2" }));
    const late = await publish(remote, { f: "f", one: "late" }, request);
    expect(late.outcome).toBe(CommitOutcome.COMMIT_OUTCOME_DIVERGED);
  });

  test("another's change is rewritten only while no bookmark points at it", async () => {
    const carl = openRemote(await server.user("carl"), "edited");
    const member = { name: "carl", group: false, role: "write" };
    await ann.unary(Members.setMember, { repository: "edited", member });
    const root = await add({ f: "f" });
    const one = await add({ f: "f", one: "1" }, root);
    const two = await add({ f: "f", one: "1", two: "2" }, one);
    const request = { change: one.name, expectedVersion: 1, rewrite: true };
    const better = { f: "f", one: "better" };
    await remote.setBookmark("hers", one.name);
    expect(await refusal(publish(carl, better, request))).toBe("denied");
    await remote.deleteBookmark("hers");
    const { outcome, change } = await publish(carl, better, request);
    expect(outcome).toBe(CommitOutcome.COMMIT_OUTCOME_REWRITTEN);
    expect(change).toMatchObject({ author: "ann", versionAuthor: "carl", version: 2 });
    expect(await now(two)).toMatchObject({ author: "ann", versionAuthor: "carl", version: 2 });
  });

  test("a change is copied elsewhere, and taken back by a new one", async () => {
    const root = await add({ f: "f" });
    const one = await add({ f: "f", one: "1" }, root);
    const two = await add({ f: "f", one: "1", two: "2" }, one);
    const repository = "edited";
    const copying = { repository, revisions: [two.name], destination: root.name };
    const { rewriting } = await ann.unary(Histories.duplicateChanges, {
      ...copying,
      requestId: newRequestId(),
    });
    const copied = rewriting!.changes[0]!;
    expect(await parentsOf(copied)).toEqual([root.name]);
    expect(copied.tree).toEqual(await upload(remote, { f: "f", two: "2" }));
    const reverting = { repository, revision: one.name, destination: two.name };
    const { change } = await ann.unary(Histories.revertChange, {
      ...reverting,
      requestId: newRequestId(),
    });
    expect(await parentsOf(change!)).toEqual([two.name]);
    expect(change!.tree).toEqual(copied.tree);
  });

  test("a long stack is rebased in one piece", async () => {
    const root = await add({ f: "f" });
    const other = await add({ f: "f", other: "other" }, root);
    let top = root;
    const stack: Change[] = [];
    for (let index = 0; index < 40; index++) {
      stack.push((top = await add({ f: "f", top: `${index}` }, top)));
    }
    expect(await rebase(source, stack[0]!, other)).toMatchObject({ count: 40, conflicted: 0 });
    expect((await now(top)).tree).toEqual(
      await upload(remote, { f: "f", other: "other", top: "39" }),
    );
  });
});
