import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { CommitOutcome } from "#gen/pogo/v1/push.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  beforeAll(async () => void (server = await startTestServer(engine)));
  afterAll(() => server[Symbol.asyncDispose]());

  test("what is pushed is pulled", async () => {
    const remote = await createRemote(await server.user("ann"), "first");
    const snapshot = { "a.txt": "one", "d/b.txt": "two", "d/e/c": { link: "../b.txt" } };
    const { change, outcome } = await publish(remote, snapshot, { description: "begin" });
    expect(outcome).toBe(CommitOutcome.COMMIT_OUTCOME_CREATED);
    expect(change).toMatchObject({ description: "begin", fileCount: 3, version: 1 });
    const found = await remote.getChange("");
    expect(found).toEqual(change!);
    const trees = await Array.fromAsync(remote.getTrees(change!.tree, undefined));
    expect(trees.length).toBe(3);
  });
});
