/** Merges that used to fail, or would: each becomes a conflict that can be read and pushed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { readWholeContents } from "#client/contents.ts";
import { newRequestId, type Remote } from "#client/remote.ts";
import { decodeTree, type ConflictEntry } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { engines } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import type { Snapshot } from "../support/snapshot.ts";

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let remote: Remote;
  beforeAll(async () => {
    server = await startTestServer(engine);
    remote = await createRemote(await server.user("ann"), "shared");
  }, 60_000);
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

  async function conflictAt({ name }: Change, path: string): Promise<ConflictEntry> {
    const { entry } = await remote.getEntry(name, path);
    const [found] = entry?.$case === "entryTree" ? decodeTree(entry.value) : [];
    if (found?.kind !== "conflict") throw new Error(`${path} is not in conflict`);
    return found;
  }

  test("names that differ in case alone are a conflict at one of them", async () => {
    const base = await change({ k: "k" });
    const a = await change({ k: "k", "d/readme": "ours" }, base);
    const b = await change({ k: "k", "d/README": "theirs" }, base);
    const { change: made, conflicts } = await merge(a, b);
    expect(conflicts).toEqual(["d/README"]);
    expect(await conflictAt(made!, "d/README")).toMatchObject({
      sides: [{ kind: "file" }, { kind: "file", path: "d/readme" }],
      bases: [undefined],
    });
  });

  test("a directory that went on where a file replaced it is one side", async () => {
    const base = await change({ "x/f": "1", "x/g": "g" });
    const a = await change({ x: "file" }, base);
    const b = await change({ "x/f": "2", "x/g": "g" }, base);
    const { change: made, conflicts } = await merge(a, b);
    expect(conflicts).toEqual(["x"]);
    expect(await conflictAt(made!, "x")).toMatchObject({
      sides: [{ kind: "file" }, { kind: "directory" }],
      bases: [{ kind: "directory" }],
    });
  });

  test("a conflict over a base that was merged of two is stored with that base", async () => {
    const text = (...lines: string[]) => lines.map((line) => `${line}\n`).join("");
    const base = await change({ f: text("1", "2", "3", "4", "5"), "d/g": "g" });
    const a = await change({ f: text("A", "2", "3", "4", "5"), "d/g": "g", "d/a": "a" }, base);
    const b = await change({ f: text("1", "2", "3", "4", "B"), "d/g": "g", "d/b": "b" }, base);
    const left = await change({ f: text("A", "2", "L", "4", "B"), d: "file" }, a, b);
    const right = await change(
      { f: text("A", "2", "R", "4", "B"), "d/g": "2", "d/a": "a", "d/b": "b" },
      b,
      a,
    );
    const { change: made, conflicts } = await merge(left, right);
    expect(conflicts).toEqual(["d", "f"]);
    const [old] = (await conflictAt(made!, "f")).bases;
    if (old?.kind !== "file") throw new Error("the base is a file");
    const contents = await readWholeContents(remote, [old], 1e6);
    expect(Buffer.from(contents(old.hash)!).toString()).toBe(text("A", "2", "3", "4", "B"));
    const [directory] = (await conflictAt(made!, "d")).bases;
    if (directory?.kind !== "directory") throw new Error("the base is a directory");
    const trees = await Array.fromAsync(remote.getTrees(directory.hash, undefined));
    expect(trees.flatMap(({ bytes }) => decodeTree(bytes).map(({ name }) => name))).toEqual([
      "a",
      "b",
      "g",
    ]);
  });
});
