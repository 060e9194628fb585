import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
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
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const push = async (remote: Remote, change: string, version: number, text: string) =>
    (await publish(remote, { f: text }, { change, expectedVersion: version })).change!;

  test("the versions of a change are listed, and those that diverged are marked", async () => {
    const remote = await createRemote(ann, "versions");
    const { name } = (await publish(remote, { f: "one" })).change!;
    await push(remote, name, 1, "two");
    await push(remote, name, 1, "other");
    await remote.describeChange(name, "described");
    const versions = await Array.fromAsync(remote.listVersions(name, 0));
    expect(versions.map(({ change, diverged }) => [change!.version, diverged])).toEqual([
      [4, false],
      [3, true],
      [2, false],
      [1, false],
    ]);
    expect((await Array.fromAsync(remote.listVersions(name, 1))).length).toBe(1);
  });

  test("a version whose files are gone is listed, and cannot be gone back to", async () => {
    const remote = await createRemote(ann, "expired");
    const first = (await publish(remote, { f: "gone" })).change!;
    await push(remote, first.name, 1, "two");
    if (engine !== "postgres") return;
    const sql = connect(server.databaseUrl!);
    await sql`update versions v set expired_at = now() from repositories r
      where r.repository_id = v.repository_id and r.name = 'expired' and v.number = 1`;
    await sql`delete from trees t using repositories r
      where r.repository_id = t.repository_id and r.name = 'expired' and t.hash = ${first.tree}`;
    await sql.end();
    const versions = await Array.fromAsync(remote.listVersions(first.name, 0));
    expect(versions.map(({ change, expired }) => [change!.version, expired])).toEqual([
      [2, false],
      [1, true],
    ]);
    const request = { requestId: newRequestId(), number: 0 };
    expect(await refusal(remote.undoOperation(request))).toBe("not-found");
    expect((await remote.getChange(first.name)).version).toBe(2);
  });
});
