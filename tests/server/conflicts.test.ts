import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import type { ConflictTerm } from "#core/conflict.ts";
import { sha256, type Hash } from "#core/hash.ts";
import { encodeObject } from "#core/object.ts";
import { decodeTree, encodeTree, treeHash, type ConflictEntry, type Entry } from "#core/tree.ts";
import { engines } from "../support/postgres.ts";
import { newChangeName, upload } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

function fileTerm(text: string): Extract<ConflictTerm, { kind: "file" }> {
  return { kind: "file", executable: false, size: text.length, hash: sha256(Buffer.from(text)) };
}

function conflictOf(...terms: (ConflictTerm | undefined)[]): ConflictEntry {
  const sides = terms.filter((_, index) => index % 2 === 0);
  const bases = terms.filter((_, index) => index % 2 === 1);
  return { kind: "conflict", name: "f", sides, bases };
}

function treeOf(...entries: Entry[]) {
  const bytes = encodeTree(entries);
  return { hash: treeHash(bytes), bytes };
}

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let remote: Remote;
  beforeAll(async () => {
    server = await startTestServer(engine);
    remote = await createRemote(await server.user("ann"), "shared");
  }, 60_000);
  afterAll(() => server[Symbol.asyncDispose]());

  async function send(...texts: string[]): Promise<void> {
    await remote.putObjects(
      texts.map((text) => ({
        hash: sha256(Buffer.from(text)),
        bytes: encodeObject(Buffer.from(text)),
      })),
    );
  }

  async function commit(tree: Hash) {
    const names = { change: newChangeName(), child: newChangeName(), description: "" };
    const request = { requestId: newRequestId(), expectedVersion: 0, parents: [], ...names };
    return (await remote.commit({ ...request, tree })).change!;
  }

  test("a change whose tree holds a conflict anywhere below is conflicted", async () => {
    await send("ours", "base", "theirs!");
    const conflict = conflictOf(fileTerm("ours"), fileTerm("base"), fileTerm("theirs!"));
    const inner = treeOf(conflict);
    const outer = treeOf({ kind: "directory", name: "d", hash: inner.hash });
    expect(await remote.putTrees([inner, outer])).toEqual({ trees: 2 });
    const change = await commit(outer.hash);
    expect(change).toMatchObject({ conflicted: true, fileCount: 2, byteCount: 11 });
    const { entry } = await remote.getEntry(change.name, "d/f");
    expect(entry?.$case === "entryTree" && decodeTree(entry.value)).toEqual([conflict]);
    const listed = await Array.fromAsync(
      remote.listChanges({ revisions: [change.name], paths: ["d/f"], limit: 5 }),
    );
    expect(listed.map(({ conflicted }) => conflicted)).toEqual([true]);
    expect((await commit(await upload(remote, { f: "ours" }))).conflicted).toBe(false);
  });

  test("what a side or a base names must be held, and be as large as it says", async () => {
    await send("held");
    const held = fileTerm("held");
    const directory: ConflictTerm = { kind: "directory", hash: sha256(Buffer.from("no tree")) };
    const lost = fileTerm("nowhere");
    for (const terms of [
      [held, undefined, lost],
      [undefined, lost, held],
      [held, undefined, directory],
      [held, directory, undefined],
    ]) {
      expect(await refusal(remote.putTrees([treeOf(conflictOf(...terms))]))).toBe("not-found");
    }
    const long = treeOf(conflictOf({ ...held, size: 5 }, lost, undefined));
    expect(await refusal(remote.putTrees([long]))).toBe("corrupt");
  });

  test("a side that is a directory counts with all that is below it", async () => {
    await send("held");
    const directory = await upload(remote, { "a/b": "123", c: "45" });
    const tree = treeOf(
      conflictOf(fileTerm("held"), undefined, { kind: "directory", hash: directory }),
    );
    await remote.putTrees([tree]);
    expect(await commit(tree.hash)).toMatchObject({ fileCount: 3, byteCount: 9 });
  });
});
