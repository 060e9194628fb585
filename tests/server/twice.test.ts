/** What is sent twice at once, as after a connection was lost, is done once and answered twice. */
import { expect, setDefaultTimeout, test } from "bun:test";

import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService as Changes } from "#gen/pogo/v1/change.ts";
import { RebaseScope } from "#gen/pogo/v1/history.ts";
import { listOperations } from "#client/operations.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { createRemote, newRequestId, startTestServer, testRootToken } from "../support/server.ts";

setDefaultTimeout(startMs);

test.each(engines)("a request that is sent twice at once is done once: %s", async (engine) => {
  await using running = await startTestServer(engine);
  const repository = "twice";
  const channel = running.channel(testRootToken);
  const remote = await createRemote(channel, repository);
  let texts = 0;
  const add = async (...parents: Change[]): Promise<Change> => {
    const refs = parents.map(({ name, version }) => {
      return { change: name, version, description: "", prefix: "" };
    });
    const files = { a: "a\n", [`f${++texts}`]: `${texts}\n` };
    return (await publish(remote, files, { parents: refs })).change!;
  };
  const twice = async <T>(ask: (requestId: Uint8Array) => Promise<T>): Promise<T> => {
    const requestId = newRequestId();
    const [one, other] = await Promise.all([ask(requestId), ask(requestId)]);
    expect(other).toEqual(one);
    const operations = await Array.fromAsync(listOperations(remote, { from: 0, limit: 0 }));
    const done = operations.filter((made) => made.requestId.toHex() === requestId.toHex());
    expect(done).toHaveLength(1);
    return one;
  };

  // Whoever is faster differs from round to round, but not on the embedded database's connection.
  const rounds = engine === "postgres" ? 3 : 1;
  for (let round = 0; round < rounds; round++) {
    const start = await add();
    const [first, second] = [await add(start), await add(start)];
    const name = "main";
    const set = { repository, name, revision: first.name, expectedChange: "" };
    const answer = await twice((requestId) =>
      channel.unary(Bookmarks.setBookmark, { ...set, requestId }),
    );
    expect(answer.previousChange).toBe("");
    const destinations = [second.name];
    const scope = RebaseScope.REBASE_SCOPE_SOURCE;
    await twice((requestId) =>
      remote.rebaseChanges({ requestId, scope, revision: first.name, destinations }),
    );
    const [third, merged] = [await add(start), newChangeName()];
    const revisions = [third.name, second.name];
    await twice((requestId) =>
      remote.mergeChanges({ requestId, revisions, description: "", change: merged }),
    );
    const sync = { bookmark: name, revision: merged, description: "", change: newChangeName() };
    await twice((requestId) => remote.syncBookmark({ ...sync, requestId }));
    await twice((requestId) => remote.undoOperation({ requestId, number: 0 }));
    await twice((requestId) => remote.redoOperation({ requestId }));
    const description = `described ${round}`;
    const described = { repository, revision: merged, description };
    await twice((requestId) => channel.unary(Changes.describeChange, { ...described, requestId }));
    await twice((requestId) =>
      remote.squashChange({ requestId, from: first.name, into: second.name, paths: [] }),
    );
    await twice((requestId) =>
      channel.unary(Changes.removeChange, { repository, requestId, revision: second.name }),
    );
    await twice((requestId) =>
      channel.unary(Bookmarks.deleteBookmark, { repository, requestId, name }),
    );
  }
});
