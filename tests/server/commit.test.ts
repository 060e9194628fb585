import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import type { ErrorCode } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { CommitOutcome, type CommitResponse } from "#gen/pogo/v1/push.ts";
import { connect, type Sql } from "#server/db/connect.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish, upload } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import type { Snapshot } from "../support/snapshot.ts";

setDefaultTimeout(startMs);

const {
  COMMIT_OUTCOME_UNCHANGED: unchanged,
  COMMIT_OUTCOME_CREATED: created,
  COMMIT_OUTCOME_VERSION_ADDED: versionAdded,
  COMMIT_OUTCOME_CHILD_CREATED: childCreated,
  COMMIT_OUTCOME_DIVERGED: diverged,
} = CommitOutcome;

function next(change: Change): { change: string; expectedVersion: number } {
  return { change: change.name, expectedVersion: change.version };
}

function parent(change: Change) {
  return [{ change: change.name, version: change.version, description: "", prefix: "" }];
}

function summary({ outcome, change, current }: CommitResponse) {
  return { outcome, version: change?.version, current: current?.version };
}

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let remote: Remote;
  let names = 0;
  beforeAll(async () => {
    server = await startTestServer(engine);
    remote = await createRemote(await server.user("ann"), "shared");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function begin(snapshot: Snapshot = { a: "one" }): Promise<Change> {
    return (await publish(remote, snapshot)).change!;
  }

  test("a version is added to the change that it started from", async () => {
    const first = await begin();
    const second = await publish(remote, { a: "two" }, { ...next(first), description: "better" });
    expect(summary(second)).toEqual({ outcome: versionAdded, version: 2, current: undefined });
    expect(second.change).toMatchObject({ name: first.name, description: "better", parents: [] });
    const third = await publish(remote, { a: "three" }, next(second.change!));
    expect(third.change).toMatchObject({ version: 3, description: "better", currentVersion: 3 });
  });

  test("the same tree and description again is no new version", async () => {
    const first = await begin();
    const again = await publish(remote, { a: "one" }, next(first));
    expect(again).toMatchObject({ outcome: unchanged, change: first });
  });

  test("a request that is sent again is answered again, not applied twice", async () => {
    const first = await begin();
    const request = { ...next(first), requestId: newRequestId() };
    const answer = await publish(remote, { a: "two" }, request);
    await publish(remote, { a: "three" }, next(answer.change!));
    const again = await publish(remote, { a: "two" }, request);
    expect(summary(again)).toEqual({ outcome: versionAdded, version: 2, current: undefined });
    expect(again.change!.currentVersion).toBe(3);
  });

  test("one request that arrives many times at once is applied once", async () => {
    const request = { change: newChangeName(), requestId: newRequestId() };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => publish(remote, { a: "one" }, request)),
    );
    expect(answers.map(summary)).toEqual(
      answers.map(() => ({ outcome: created, version: 1, current: undefined })),
    );
  });

  test("a request id that meant something else is refused", async () => {
    const requestId = newRequestId();
    await publish(remote, { a: "one" }, { requestId });
    const request = { repository: "shared", requestId, name: "b", revision: "" };
    const { BookmarkServiceService } = await import("#gen/pogo/v1/bookmark.ts");
    const channel = await server.user("another");
    const other = await createRemote(channel, "elsewhere");
    await publish(other, { a: "one" }, { requestId });
    const elsewhere = { ...request, repository: "elsewhere" };
    expect(await refusal(channel.unary(BookmarkServiceService.setBookmark, elsewhere))).toBe(
      "usage",
    );
  });

  test("who was slower diverges: both versions are kept, the change stays", async () => {
    const first = await begin();
    const faster = await publish(remote, { a: "faster" }, next(first));
    const slower = await publish(remote, { a: "slower" }, next(first));
    expect(summary(slower)).toEqual({ outcome: diverged, version: 3, current: 2 });
    expect(await remote.getChange(first.name)).toEqual(faster.change!);
    expect((await remote.getChange(`${first.name}@3`)).tree).toEqual(slower.change!.tree);
    const again = await publish(remote, { a: "slower" }, next(first));
    expect(summary(again)).toEqual({ outcome: diverged, version: 3, current: 2 });
    const resolved = await publish(remote, { a: "both" }, next(faster.change!));
    expect(summary(resolved)).toEqual({ outcome: versionAdded, version: 4, current: undefined });
  });

  test("of many who push to one change at once, one is first and nothing is lost", async () => {
    const first = await begin();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => publish(remote, { a: `from ${index}` }, next(first))),
    );
    const outcomes = answers.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === versionAdded).length).toBe(1);
    expect(outcomes.filter((outcome) => outcome === diverged).length).toBe(7);
    const versions = answers.map(({ change }) => change!.version).sort((a, b) => a - b);
    expect(versions).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test("a description that changed meanwhile is in nobody's way", async () => {
    const first = await begin();
    await remote.describeChange(first.name, "described");
    const pushed = await publish(remote, { a: "two" }, next(first));
    expect(summary(pushed)).toEqual({ outcome: versionAdded, version: 3, current: undefined });
    expect(pushed.change!.description).toBe("described");
  });

  test("a clean copy of an old version is unchanged, and stays at the old version", async () => {
    const first = await begin();
    await publish(remote, { a: "two" }, next(first));
    const clean = await publish(remote, { a: "one" }, next(first));
    expect(summary(clean)).toEqual({ outcome: unchanged, version: 1, current: undefined });
    expect(clean.change!.currentVersion).toBe(2);
  });

  test("what somebody else pushed meanwhile, too, is unchanged", async () => {
    const first = await begin();
    await publish(remote, { a: "two" }, next(first));
    const same = await publish(remote, { a: "two" }, next(first));
    expect(summary(same)).toEqual({ outcome: unchanged, version: 2, current: undefined });
  });

  test("edits of a change with a bookmark become a child", async () => {
    const first = await begin();
    await remote.setBookmark(`b${names++}`, first.name);
    const child = newChangeName();
    const pushed = await publish(remote, { a: "two" }, { ...next(first), child });
    expect(pushed.outcome).toBe(childCreated);
    expect(pushed.change).toMatchObject({ name: child, description: "", version: 1 });
    expect(pushed.change!.parents).toMatchObject([{ change: first.name, version: 1 }]);
    expect((await remote.getChange(first.name)).sealed).toBe(true);
  });

  test("edits of a change with a child, or of another's, become a child", async () => {
    const first = await begin();
    await publish(remote, { a: "two" }, { parents: parent(first) });
    expect((await publish(remote, { a: "three" }, next(first))).outcome).toBe(childCreated);
    const request = { ...next(first), child: "" };
    expect(await refusal(publish(remote, { a: "four" }, request))).toBe("conflict");
  });

  test("a child is made of the version that the edits started from", async () => {
    const first = await begin();
    const second = await publish(remote, { a: "two" }, next(first));
    await remote.setBookmark(`b${names++}`, first.name);
    const pushed = await publish(remote, { a: "three" }, next(first));
    expect(pushed.change!.parents).toMatchObject([{ change: first.name, version: 1 }]);
    const described = await remote.describeChange(first.name, "new words");
    expect(described.version).toBe(3);
    const onTop = await publish(remote, { a: "four" }, next(second.change!));
    expect(onTop.change!.parents).toMatchObject([{ change: first.name, version: 3 }]);
  });

  test("a draft that was pushed before is recognised, and a copy of it diverges", async () => {
    const change = newChangeName();
    await publish(remote, { a: "one" }, { change });
    const again = await publish(remote, { a: "one" }, { change });
    expect(summary(again)).toEqual({ outcome: unchanged, version: 1, current: undefined });
    const copy = await publish(remote, { a: "copy" }, { change });
    expect(summary(copy)).toEqual({ outcome: diverged, version: 2, current: 1 });
  });

  test("a draft on top of a change that was removed gets that change's parents", async () => {
    const first = await begin();
    const second = await publish(remote, { a: "two" }, { parents: parent(first) });
    await remote.removeChange(second.change!.name);
    const pushed = await publish(remote, { a: "three" }, { parents: parent(second.change!) });
    expect(pushed.change!.parents).toMatchObject([{ change: first.name }]);
    const edited = await publish(remote, { a: "four" }, next(second.change!));
    expect(edited.outcome).toBe(childCreated);
    expect(edited.change!.parents).toMatchObject([{ change: first.name }]);
  });

  test("what makes no sense is refused, and nothing is written", async () => {
    const first = await begin();
    const unknown = newChangeName();
    const cases: [ErrorCode, object][] = [
      ["usage", { requestId: new Uint8Array(3) }],
      ["usage", { change: "main" }],
      ["usage", { change: first.name, child: first.name, expectedVersion: 1 }],
      ["usage", { ...next(first), parents: parent(first) }],
      ["usage", { parents: [...parent(first), ...parent(first)] }],
      ["usage", { description: "\u001b[31m" }],
      ["usage", { description: "x".repeat(64 * 1024 + 1) }],
      ["not-found", { change: first.name, expectedVersion: 9 }],
      ["not-found", { change: unknown, expectedVersion: 1 }],
      ["not-found", { change: unknown, parents: [{ ...parent(first)[0]!, version: 7 }] }],
      ["not-found", { tree: new Uint8Array(32).fill(7) }],
    ];
    const tree = await upload(remote, { a: "nonsense" });
    for (const [code, overrides] of cases) {
      const requestId = newRequestId();
      const request = { requestId, change: unknown, expectedVersion: 0, parents: [], child: "" };
      expect(await refusal(remote.commit({ ...request, tree, ...overrides }))).toBe(code);
    }
    expect(await refusal(remote.getChange(unknown))).toBe("not-found");
  });

  test("a symlink that leads out of the repository is refused where it stands", async () => {
    const link = { link: "../../etc/passwd" };
    await publish(remote, { "a/b/c/link": link, "a/etc/passwd": "mine" });
    expect(await refusal(publish(remote, { "a/link": link }))).toBe("usage");
    expect(await refusal(publish(remote, { x: { link: ".pogo/state" } }))).toBe("usage");
  });

  test("a path that is too long or too deep is refused", async () => {
    const long = `${`${"d".repeat(200)}/`.repeat(11)}f`;
    expect(await refusal(publish(remote, { [long]: "x" }))).toBe("usage");
    const deep = `${"d/".repeat(256)}f`;
    expect(await refusal(publish(remote, { [deep]: "x" }))).toBe("usage");
    await publish(remote, { [`${"d/".repeat(255)}f`]: "x" });
  });
});

test("the rows that a commit writes follow the edit", async () => {
  if (!engines.includes("postgres")) return;
  await using server = await startTestServer("postgres");
  const remote = await createRemote(await server.user("ann"), "rows");
  const sql = connect(server.databaseUrl!);
  await using _ = { [Symbol.asyncDispose]: () => sql.end() };
  const snapshot: Record<string, string> = {};
  for (let index = 0; index < 300; index++) {
    snapshot[`d${index % 10}/e${index % 7}/f"\\${index}`] = `text ${index}`;
  }
  const first = (await publish(remote, snapshot)).change!;
  const all = await countRows(sql);
  expect(all).toMatchObject({ files: 300, versions: 1, objects: 300 });

  const edited = { ...snapshot, 'd0/e0/f"\\0': "edited", new: "new" };
  delete (edited as Record<string, string>)['d1/e1/f"\\1'];
  const second = (await publish(remote, edited, next(first))).change!;
  const after = await countRows(sql);
  expect(after.files - all.files).toBe(3);
  // The root, and the two directories on each of the two paths.
  expect(after.trees - all.trees).toBe(5);
  const rows = await sql`
    select path, status, kind, mode, size, object is null as bare from files
    where version_id = (select max(version_id) from versions) order by path`;
  expect([...rows]).toEqual([
    { path: 'd0/e0/f"\\0', status: "modified", kind: "file", mode: 644, size: 6, bare: false },
    { path: 'd1/e1/f"\\1', status: "deleted", kind: "file", mode: 644, size: 6, bare: false },
    { path: "new", status: "added", kind: "file", mode: 644, size: 3, bare: false },
  ]);

  const moved: Record<string, string> = {};
  for (const [path, text] of Object.entries(edited)) moved[path.replace(/^d3/, "moved")] = text;
  await publish(remote, moved, next(second));
  const renamed = await countRows(sql);
  expect(renamed.files - after.files).toBe(60);
  expect(renamed.trees - after.trees).toBe(1);
  expect(renamed.objects).toBe(after.objects);
});

async function countRows(sql: Sql) {
  const [row] = await sql<{ files: number; trees: number; versions: number; objects: number }[]>`
    select (select count(*) from files) as files, (select count(*) from trees) as trees,
      (select count(*) from versions) as versions, (select count(*) from objects) as objects`;
  return row!;
}
