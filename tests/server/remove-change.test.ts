import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import { ChangeServiceService as Changes } from "#gen/pogo/v1/change.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish, upload } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let remote: Remote;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
    remote = await createRemote(ann, "pruned");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const held = new Map<string, Record<string, string>>();

  async function add(text: string, ...on: Change[]): Promise<Change> {
    const parents = on.map(({ name, version }) => ({
      change: name,
      version,
      description: "",
      prefix: "",
    }));
    const request = { parents, description: text };
    const files = Object.assign({}, ...on.map(({ name }) => held.get(name)));
    const own = { ...files, [text]: text };
    const { change } = await publish(remote, own, request);
    held.set(change!.name, own);
    return change!;
  }

  const parentsOf = async ({ name }: Change) =>
    (await remote.getChange(name)).parents.map(({ change }) => change);

  test("children of a removed change get its parents, and keep their own edits", async () => {
    const root = await add("root");
    const middle = await add("middle", root);
    const other = await add("other", root);
    const child = await add("child", middle);
    const merge = await add("merge", other, middle);
    const grandchild = await add("grandchild", child);
    const removed = await remote.removeChange(middle.name);
    expect(removed.change!.name).toBe(middle.name);
    const rewritten = removed.rewriting!.changes.map(({ name }) => name);
    expect(rewritten.sort()).toEqual([child.name, merge.name, grandchild.name].sort());
    expect(removed.rewriting).toMatchObject({ count: 3, conflicted: 0 });
    expect(await parentsOf(child)).toEqual([root.name]);
    expect(await parentsOf(merge)).toEqual([other.name, root.name]);
    expect(await parentsOf(grandchild)).toEqual([child.name]);
    const now = await remote.getChange(child.name);
    expect(now).toMatchObject({ version: 2, description: "child" });
    expect(now.tree).toEqual(await upload(remote, { root: "root", child: "child" }));
    const left = await upload(remote, { root: "root", other: "other", merge: "merge" });
    expect((await remote.getChange(merge.name)).tree).toEqual(left);
    expect(await refusal(remote.getChange(middle.name))).toBe("not-found");
    expect(await refusal(remote.getChange(middle.name.slice(0, 15)))).toBe("not-found");
    expect(await refusal(remote.removeChange(middle.name))).toBe("not-found");
    const query = { revisions: [grandchild.name], paths: [], limit: 0 };
    const listed = await Array.fromAsync(remote.listChanges(query));
    expect(listed.map(({ name }) => name)).toEqual([grandchild.name, child.name, root.name]);
    // What the removed change did is what its child does now.
    const touching = { revisions: [grandchild.name], paths: ["middle"], limit: 0 };
    const touched = await Array.fromAsync(remote.listChanges(touching));
    expect(touched.map(({ name }) => name)).toEqual([]);
  });

  test("bookmarks of a removed change move to its first parent, or go", async () => {
    const root = await add("root");
    const top = await add("top", root);
    await remote.setBookmark("moves", top.name);
    const bookmarksOf = async ({ name }: Change) => {
      return (await remote.removeChange(name)).rewriting!.bookmarks;
    };
    expect(await bookmarksOf(top)).toEqual(["moves"]);
    expect((await remote.getChange("moves")).name).toBe(root.name);
    expect(await bookmarksOf(root)).toEqual(["moves"]);
    expect(await refusal(remote.getChange("moves"))).toBe("not-found");
  });

  test("a request that is sent again is answered again", async () => {
    const root = await add("root");
    const child = await add("child", root);
    const requestId = newRequestId();
    const request = { repository: "pruned", requestId, revision: root.name };
    const first = await ann.unary(Changes.removeChange, request);
    const again = await ann.unary(Changes.removeChange, request);
    expect(again).toEqual(first);
    expect(await parentsOf(child)).toEqual([]);
  });

  test("neighbours that are removed at once leave no change on a hidden one", async () => {
    const line = [await add("0")];
    for (let index = 1; index < 8; index++) line.push(await add(`${index}`, line.at(-1)!));
    const inner = line.slice(1, -1);
    await Promise.all(inner.map(({ name }) => remote.removeChange(name)));
    expect(await parentsOf(line.at(-1)!)).toEqual([line[0]!.name]);
  });

  test("who builds on a change that is being removed ends up on what is left", async () => {
    const root = await add("root");
    const middle = await add("middle", root);
    const [, ...children] = await Promise.all([
      remote.removeChange(middle.name),
      ...["a", "b", "c", "d"].map((text) => add(text, middle)),
    ]);
    for (const child of children) expect(await parentsOf(child)).toEqual([root.name]);
  });

  test("a description is a version, and the same one again is none", async () => {
    const change = await add("before");
    expect(await remote.describeChange(change.name, "after")).toMatchObject({
      version: 2,
      description: "after",
      tree: change.tree,
    });
    expect((await remote.describeChange(change.name, "after")).version).toBe(2);
    expect(await refusal(remote.describeChange(`${change.name}@1`, "x"))).toBe("usage");
    expect(await refusal(remote.describeChange(change.name, "a\u0007b"))).toBe("usage");
    expect((await remote.describeChange(change.name, "tabs\tand\nlines")).version).toBe(3);
  });
});
