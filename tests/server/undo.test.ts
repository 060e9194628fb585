import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { listOperations, type LoggedOperation } from "#client/operations.ts";
import { newRequestId, openRemote, type Remote } from "#client/remote.ts";
import { isPogoError } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { Channel } from "#rpc/channel.ts";
import { connect } from "#server/db/connect.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let remote: Remote;
  let repositories = 0;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function fresh(): Promise<string> {
    const name = `undone-${++repositories}`;
    remote = await createRemote(ann, name);
    return name;
  }

  async function add(text: string, ...on: Change[]): Promise<Change> {
    const parents = on.map(({ name, version }) => {
      return { change: name, version, description: "", prefix: "" };
    });
    return (await publish(remote, { f: text }, { parents, description: text })).change!;
  }

  async function push({ name, version }: Change, text: string, by = remote): Promise<Change> {
    const request = { change: name, expectedVersion: version };
    return (await publish(by, { f: text }, request)).change!;
  }

  const undo = async (number = 0) => {
    const { operation } = await remote.undoOperation({ requestId: newRequestId(), number });
    return operation!.number;
  };
  const redo = async () => {
    const { operation } = await remote.redoOperation({ requestId: newRequestId() });
    return operation!.number;
  };
  const restore = async (number: number) =>
    (await remote.restoreOperation({ requestId: newRequestId(), number })).operation;
  const logged = (): Promise<LoggedOperation[]> =>
    Array.fromAsync(listOperations(remote, { from: 0, limit: 0 }));

  /** All that people see: where changes are, and bookmarks. */
  async function state(): Promise<unknown> {
    const query = { revisions: [], paths: [], limit: 1000 };
    const changes = await Array.fromAsync(remote.listChanges(query));
    const bookmarks = await Array.fromAsync(remote.listBookmarks());
    return {
      changes: changes
        .map(({ name, version, description }) => `${name} ${version} ${description}`)
        .sort(),
      bookmarks: bookmarks.map(({ name, change }) => `${name} ${change!.name}`),
    };
  }

  test("a push is undone and done again, the first one of a change as well", async () => {
    await fresh();
    const change = await add("one");
    const created = await state();
    await push(change, "two");
    const pushed = await state();
    expect(await undo()).toBe(4);
    expect(await state()).toEqual(created);
    expect(await undo()).toBe(5);
    expect(await state()).toEqual({ changes: [], bookmarks: [] });
    expect(await remote.getChange(`${change.name}@2`)).toMatchObject({ hidden: true, version: 2 });
    expect(await refusal(undo())).toBe("not-found");
    expect(await redo()).toBe(6);
    expect(await state()).toEqual(created);
    expect(await redo()).toBe(7);
    expect(await state()).toEqual(pushed);
    expect(await refusal(redo())).toBe("not-found");
    expect(await undo()).toBe(8);
    expect(await state()).toEqual(created);
    const log = await logged();
    expect(log.map(({ number, kind, undoneBy }) => [number, kind, undoneBy])).toEqual([
      [8, "undo", undefined],
      [7, "redo", undefined],
      [6, "redo", undefined],
      [5, "undo", 6],
      [4, "undo", 7],
      [3, "commit", 8],
      [2, "commit", undefined],
      [1, "create-repository", undefined],
    ]);
    expect(log[0]).toMatchObject({
      user: "ann",
      details: { undoes: 3 },
      effects: {
        changes: [
          {
            change: change.name,
            before: { version: 2, hidden: false },
            after: { version: 1, hidden: false },
          },
        ],
        bookmarks: [],
      },
    });
  });

  test("something else that is done ends what can be redone", async () => {
    await fresh();
    const change = await add("one");
    await remote.describeChange(change.name, "better");
    await undo();
    await remote.setBookmark("main", change.name);
    expect(await refusal(redo())).toBe("not-found");
    await undo();
    await redo();
    expect(await remote.getChange("main")).toMatchObject({ name: change.name, version: 1 });
  });

  test("bookmarks come back, wherever they were", async () => {
    await fresh();
    const [one, two] = [await add("one"), await add("two")];
    await remote.setBookmark("main", one.name);
    await remote.setBookmark("main", two.name);
    await undo();
    expect((await remote.getChange("main")).name).toBe(one.name);
    await remote.deleteBookmark("main");
    await undo();
    expect((await remote.getChange("main")).name).toBe(one.name);
    await undo();
    expect(await refusal(remote.getChange("main"))).toBe("not-found");
  });

  test("a removed change comes back under its children, and its bookmarks to it", async () => {
    await fresh();
    const root = await add("root");
    const middle = await add("middle", root);
    const child = await add("child", middle);
    const grandchild = await add("grandchild", child);
    await remote.setBookmark("main", middle.name);
    const before = await state();
    await remote.removeChange(middle.name);
    const after = await state();
    expect(after).not.toEqual(before);
    await undo();
    expect(await state()).toEqual(before);
    expect((await remote.getChange(child.name)).parents).toMatchObject([{ change: middle.name }]);
    const query = { revisions: [grandchild.name], paths: [], limit: 0 };
    const listed = await Array.fromAsync(remote.listChanges(query));
    expect(listed.map(({ description }) => description)).toEqual([
      "grandchild",
      "child",
      "middle",
      "root",
    ]);
    await redo();
    expect(await state()).toEqual(after);
  });

  test("an operation of somebody else is undone by its number", async () => {
    const name = await fresh();
    const change = await add("one");
    await remote.setBookmark("main", change.name);
    if (engine !== "postgres") return;
    const bob = openRemote(await server.user("bob"), name);
    const sql = connect(server.databaseUrl!);
    await sql`insert into repository_members (repository_id, user_id, role)
      select repository_id, user_id, 'write' from repositories r, users u
      where r.name = ${name} and u.name = 'bob'`;
    await sql.end();
    const request = { requestId: newRequestId(), number: 0 };
    expect(await refusal(bob.undoOperation(request))).toBe("not-found");
    const { undone } = await bob.undoOperation({ ...request, number: 3 });
    expect(undone).toMatchObject({ number: 3, kind: "set-bookmark", user: "ann" });
    // What is undone already is not undone again: the operation before it is.
    expect(await undo()).toBe(5);
    expect(await state()).toEqual({ changes: [], bookmarks: [] });
  });

  test("an undo is refused, with the reason, when others have built on what it takes away", async () => {
    await fresh();
    const change = await add("one");
    const second = await push(change, "two");
    const child = await add("child", second);
    const before = await state();
    const failure = await remote
      .undoOperation({ requestId: newRequestId(), number: 3 })
      .catch((error: unknown) => error);
    expect(isPogoError(failure, "conflict") && failure.message).toBe(
      `operation 3 (commit by ann) cannot be undone: ` +
        `change ${child.name} was built on version 2 of ${change.name}`,
    );
    expect(await refusal(undo(2))).toBe("conflict");
    expect(await state()).toEqual(before);
    // A description is in nobody's way.
    await remote.describeChange(change.name, "described");
    await undo();
    expect(await state()).toEqual(before);
    // When what stands on it goes, so may it.
    await undo(4);
    await undo(3);
    expect((await remote.getChange(change.name)).version).toBe(1);
    expect(await refusal(undo(4))).toBe("conflict");
  });

  test("an undo is refused when what it moves has moved since, and says who moved it", async () => {
    await fresh();
    const change = await add("one");
    const two = await push(change, "two");
    await push(two, "three");
    const failure = await remote
      .undoOperation({ requestId: newRequestId(), number: 3 })
      .catch((error: unknown) => error);
    expect(isPogoError(failure, "conflict") && failure.message).toBe(
      `operation 3 (commit by ann) cannot be undone: ` +
        `change ${change.name} has moved since, by operation 4 (commit by ann)`,
    );
  });

  test("a change that a bookmark points at is not hidden", async () => {
    await fresh();
    const change = await add("one");
    await remote.setBookmark("main", change.name);
    expect(await refusal(undo(2))).toBe("conflict");
    await undo();
    await undo();
    expect(await state()).toEqual({ changes: [], bookmarks: [] });
    // Nor does a bookmark come back to what is hidden.
    expect(await refusal(undo(4))).toBe("conflict");
    await redo();
    await undo(4);
    expect((await remote.getChange("main")).name).toBe(change.name);
  });

  test("a change does not come back on top of one that is hidden", async () => {
    await fresh();
    const root = await add("root");
    await add("child", root);
    await undo();
    await undo(2);
    expect(await refusal(undo(4))).toBe("conflict");
    await undo(5);
    await undo(4);
    expect(await state()).toMatchObject({ changes: { length: 2 } });
  });

  test("what moved nothing cannot be undone, nor what never was", async () => {
    await fresh();
    expect(await refusal(undo(1))).toBe("usage");
    expect(await refusal(undo(2))).toBe("not-found");
    await add("one");
    await undo();
    expect(await refusal(undo(2))).toBe("conflict");
  });

  test("a request that is sent again is answered again", async () => {
    await fresh();
    const change = await add("one");
    await push(change, "two");
    const request = { requestId: newRequestId(), number: 0 };
    const first = await remote.undoOperation(request);
    expect(await remote.undoOperation(request)).toEqual(first);
    expect(await refusal(remote.undoOperation({ ...request, number: 2 }))).toBe("usage");
    const again = { requestId: newRequestId() };
    const second = await remote.redoOperation(again);
    expect(await remote.redoOperation(again)).toEqual(second);
    const third = { requestId: newRequestId(), number: 0 };
    const restored = await remote.restoreOperation(third);
    expect(await remote.restoreOperation(third)).toEqual(restored);
    expect((await logged()).length).toBe(6);
  });

  test("nothing is undone that is older than the caller says", async () => {
    await fresh();
    await add("one");
    const old = { requestId: newRequestId(), number: 0, ageMsMax: 0 };
    await state();
    expect(await remote.undoOperation(old)).toEqual({ operation: undefined, undone: undefined });
    await remote.undoOperation({ ...old, ageMsMax: 60_000 });
    await state();
    const redone = await remote.redoOperation({ requestId: newRequestId(), ageMsMax: 0 });
    expect(redone).toEqual({ operation: undefined, redone: undefined });
  });

  test("of those who undo one operation at once, exactly one does", async () => {
    await fresh();
    const change = await add("one");
    await remote.setBookmark("main", change.name);
    await push(await add("two"), "three");
    for (const number of [3, 5]) {
      const answers = await Promise.all(Array.from({ length: 6 }, () => refusal(undo(number))));
      expect(answers.sort()).toEqual([...Array(5).fill("conflict"), "nothing"]);
    }
  });

  test("an undo and a push to the same change do not both win", async () => {
    await fresh();
    for (let round = 0; round < 5; round++) {
      const change = await push(await add(`one ${round}`), "two");
      const number = (await logged())[0]!.number;
      const [undone, child] = await Promise.all([
        refusal(undo(number)),
        add("child", change).catch((error: unknown) => error as Error),
      ]);
      const now = await remote.getChange(change.name);
      const parent = child instanceof Error ? undefined : child.parents[0];
      if (undone === "nothing" && parent) expect(now.version).toBe(1);
      else expect([now.version, parent?.version]).toEqual([2, 2]);
    }
  });

  test("a repository is restored as it was after any operation, and back", async () => {
    await fresh();
    const states = [await state(), await state()];
    const step = async (action: () => Promise<unknown>) => {
      await action();
      states.push(await state());
    };
    let root!: Change;
    let child!: Change;
    await step(async () => (root = await add("root")));
    await step(async () => (child = await add("child", root)));
    await step(() => remote.setBookmark("main", child.name));
    await step(() => remote.removeChange(root.name));
    await step(() => remote.describeChange(child.name, "described"));
    await step(() => remote.deleteBookmark("main"));
    await step(() => undo());
    await step(() => remote.removeChange(child.name));
    for (const number of [0, 4, 9, 2, 8, 1, 5, 3, 7, 6]) {
      const before = await state();
      const made = await restore(number);
      expect(await state()).toEqual(states[number]!);
      if (!made) continue;
      expect(made).toMatchObject({ kind: "restore-operation" });
      await undo();
      expect(await state()).toEqual(before);
      await redo();
      expect(await state()).toEqual(states[number]!);
    }
    expect(await refusal(restore(1000))).toBe("not-found");
    expect(await restore((await logged())[0]!.number)).toBeUndefined();
  });

  test("a restore moves as much as there is, and is undone as a whole", async () => {
    await fresh();
    const changes: Change[] = [];
    for (let index = 0; index < 30; index++) changes.push(await add(`${index}`));
    for (const [index, { name }] of changes.entries()) await remote.setBookmark(`b${index}`, name);
    const made = await restore(1);
    expect(made!.changes.length).toBe(30);
    expect(made!.bookmarks.length).toBe(30);
    expect(await state()).toEqual({ changes: [], bookmarks: [] });
    await undo();
    expect(await state()).toMatchObject({ changes: { length: 30 }, bookmarks: { length: 30 } });
  });
});
