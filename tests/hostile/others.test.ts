/** What a hostile client may learn of, and do to, the repositories of others: nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { newRequestId } from "#client/remote.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService as Changes } from "#gen/pogo/v1/change.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { PullServiceService as Pull } from "#gen/pogo/v1/pull.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import { QueryServiceService as Query } from "#gen/pogo/v1/query.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { openAttack, secret, secretTree, type Attack, type Calls } from "../support/attack.ts";
import { directoryEntry, forgeTree, partOf } from "../support/forge.ts";
import { engines } from "../support/postgres.ts";
import { newChangeName } from "../support/publish.ts";
import { openRawClient, type RawClient } from "../support/raw-client.ts";

describe.each(engines)("%s", (engine) => {
  let attack: Attack;
  let mallory: RawClient;
  let foreign: Change;
  const expectRefused = (code: string, calls: Calls) => attack.expectRefused(code, calls);
  beforeAll(async () => {
    attack = await openAttack(engine);
    ({ mallory, foreign } = attack);
  }, 60_000);
  afterAll(() => attack[Symbol.asyncDispose]());

  test("another repository cannot be told from none, nor its contents be had", async () => {
    const trees = [{ repository: "own", parts: [partOf(secretTree)] }];
    const above = forgeTree(directoryEntry("d", secretTree.hash));
    const repository = "own";
    await expectRefused("not-found", {
      "its object": () =>
        mallory.serverStream(Pull.getObjects, {
          repository,
          hashes: [secret.hash],
          acceptUrls: false,
        }),
      "its tree": () =>
        mallory.serverStream(Pull.getTrees, {
          repository,
          root: secretTree.hash,
          held: new Uint8Array(0),
        }),
      "a tree that names its object": () => mallory.clientStream(Push.putTrees, trees),
      "a tree that names its tree": () =>
        mallory.clientStream(Push.putTrees, [{ repository, parts: [partOf(above)] }]),
      "its change": () => mallory.unary(Query.getChange, { repository, revision: foreign.name }),
      "a bookmark at its change": () =>
        mallory.unary(Bookmarks.setBookmark, {
          repository,
          requestId: newRequestId(),
          name: "mine",
          revision: foreign.name,
        }),
      "removing its change": () =>
        mallory.unary(Changes.removeChange, {
          repository,
          requestId: newRequestId(),
          revision: foreign.name,
        }),
    });
    const asked = { repository, objects: [secret.hash], trees: [secretTree.hash] };
    const { responses } = await mallory.unary(Push.findMissing, asked);
    expect(responses).toEqual([{ objects: [0], trees: [0], obliterated: [] }]);
  });

  test("every call on a repository of others is not found, as on none at all", async () => {
    for (const repository of ["anns", "nobodys"]) {
      await expectRefused("not-found", everyCall(mallory, repository, foreign));
    }
    using stranger = openRawClient(attack.server.server.url);
    for (const repository of ["anns", "nobodys"]) {
      await expectRefused("denied", everyCall(stranger, repository, foreign));
    }
    using guesser = openRawClient(attack.server.server.url, "pogo_guessed-and-wrong");
    await expectRefused("denied", everyCall(guesser, "anns", foreign));
  });
});

/** Every call that names a repository, on one that is not the caller's. */
function everyCall(client: RawClient, repository: string, change: Change) {
  const requestId = newRequestId();
  const revision = change.name;
  const calls: Calls = {
    findMissing: () => client.unary(Push.findMissing, { repository, objects: [], trees: [] }),
    putObjects: () =>
      client.clientStream(Push.putObjects, [{ repository, parts: [partOf(secret)] }]),
    putTrees: () =>
      client.clientStream(Push.putTrees, [{ repository, parts: [partOf(secretTree)] }]),
    commit: () =>
      client.unary(Push.commit, {
        repository,
        requestId,
        change: newChangeName(),
        expectedVersion: 0,
        tree: secretTree.hash,
        parents: [],
        child: "",
      }),
    getTrees: () =>
      client.serverStream(Pull.getTrees, {
        repository,
        root: secretTree.hash,
        held: new Uint8Array(0),
      }),
    getObjects: () =>
      client.serverStream(Pull.getObjects, {
        repository,
        hashes: [secret.hash],
        acceptUrls: false,
      }),
    getChange: () => client.unary(Query.getChange, { repository, revision }),
    listChanges: () =>
      client.serverStream(Query.listChanges, { repository, revisions: [], paths: [], limit: 0 }),
    getEntry: () => client.unary(Query.getEntry, { repository, revision, path: "secret" }),
    describeChange: () =>
      client.unary(Changes.describeChange, { repository, requestId, revision, description: "x" }),
    removeChange: () => client.unary(Changes.removeChange, { repository, requestId, revision }),
    setBookmark: () =>
      client.unary(Bookmarks.setBookmark, { repository, requestId, name: "main", revision }),
    listBookmarks: () => client.unary(Bookmarks.listBookmarks, { repository, after: "" }),
    deleteBookmark: () =>
      client.unary(Bookmarks.deleteBookmark, { repository, requestId, name: "main" }),
    setSecret: () => client.unary(Secrets.setSecret, { repository, name: "KEY", value: "x" }),
    listSecrets: () => client.unary(Secrets.listSecrets, { repository }),
    getSecret: () => client.unary(Secrets.getSecret, { repository, name: "KEY" }),
    removeSecret: () => client.unary(Secrets.removeSecret, { repository, name: "KEY" }),
    getRepository: () => client.unary(Repositories.getRepository, { name: repository }),
    allowCaseCollisions: () =>
      client.unary(Repositories.allowCaseCollisions, { repository, requestId }),
  };
  return calls;
}
