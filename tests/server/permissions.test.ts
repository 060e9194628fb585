import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId } from "#client/remote.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService as Changes } from "#gen/pogo/v1/change.ts";
import { OperationServiceService as Operations } from "#gen/pogo/v1/operation.ts";
import { PullServiceService as Pull } from "#gen/pogo/v1/pull.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import { QueryServiceService as Query } from "#gen/pogo/v1/query.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

type Ask = (channel: Channel, repository: string) => Promise<unknown>;

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

const commit = () => ({
  requestId: newRequestId(),
  change: newChangeName(),
  expectedVersion: 0,
  tree: emptyTreeHash,
  parents: [],
  child: "",
});

const reads: Record<string, Ask> = {
  getRepository: (channel, name) => channel.unary(Repositories.getRepository, { name }),
  getChange: (channel, repository) => channel.unary(Query.getChange, { repository, revision: "" }),
  getEntry: (channel, repository) =>
    channel.unary(Query.getEntry, { repository, revision: "main", path: "a" }),
  listChanges: (channel, repository) => {
    const request = { repository, revisions: [], paths: [], limit: 0 };
    return Array.fromAsync(channel.serverStream(Query.listChanges, request));
  },
  getTrees: (channel, repository) => {
    const request = { repository, root: emptyTreeHash, held: new Uint8Array() };
    return Array.fromAsync(channel.serverStream(Pull.getTrees, request));
  },
  getObjects: (channel, repository) =>
    Array.fromAsync(channel.serverStream(Pull.getObjects, { repository, hashes: [] })),
  listBookmarks: (channel, repository) =>
    channel.unary(Bookmarks.listBookmarks, { repository, after: "" }),
  listVersions: (channel, repository) => {
    const request = { repository, revision: "main", limit: 0 };
    return Array.fromAsync(channel.serverStream(Query.listVersions, request));
  },
  listOperations: (channel, repository) => {
    const request = { repository, from: 0, limit: 0 };
    return Array.fromAsync(channel.serverStream(Operations.listOperations, request));
  },
};

const writes: Record<string, Ask> = {
  findMissing: (channel, repository) =>
    channel.unary(Push.findMissing, { repository, objects: [], trees: [] }),
  putObjects: (channel, repository) =>
    channel.clientStream(Push.putObjects, once({ repository, parts: [] })),
  putTrees: (channel, repository) =>
    channel.clientStream(Push.putTrees, once({ repository, parts: [] })),
  commit: (channel, repository) => channel.unary(Push.commit, { repository, ...commit() }),
  describeChange: (channel, repository) => {
    const request = { repository, requestId: newRequestId(), revision: "main", description: "d" };
    return channel.unary(Changes.describeChange, request);
  },
  setBookmark: (channel, repository) => {
    const request = { repository, requestId: newRequestId(), name: "new", revision: "main" };
    return channel.unary(Bookmarks.setBookmark, request);
  },
  deleteBookmark: (channel, repository) => {
    const request = { repository, requestId: newRequestId(), name: "new" };
    return channel.unary(Bookmarks.deleteBookmark, request);
  },
  allowCaseCollisions: (channel, repository) =>
    channel.unary(Repositories.allowCaseCollisions, { repository, requestId: newRequestId() }),
  removeChange: (channel, repository) => {
    const request = { repository, requestId: newRequestId(), revision: "main" };
    return channel.unary(Changes.removeChange, request);
  },
  undoOperation: (channel, repository) => {
    const request = { repository, requestId: newRequestId(), number: 0 };
    return channel.unary(Operations.undoOperation, request);
  },
  redoOperation: (channel, repository) =>
    channel.unary(Operations.redoOperation, { repository, requestId: newRequestId() }),
  restoreOperation: (channel, repository) => {
    const request = { repository, requestId: newRequestId(), number: 1 };
    return channel.unary(Operations.restoreOperation, request);
  },
};

const personal: Record<string, Ask> = {
  getUser: (channel) => channel.unary(Auth.getUser, {}),
  listTokens: (channel) => channel.unary(Auth.listTokens, {}),
  createToken: (channel) =>
    channel.unary(Auth.createToken, { name: "second", expiresAt: 0, user: "" }),
  revokeToken: (channel) => channel.unary(Auth.revokeToken, { name: "second" }),
  createRepository: (channel) => {
    const request = { name: newChangeName(), public: false, caseSensitive: false };
    return channel.unary(Repositories.createRepository, { ...request, requestId: newRequestId() });
  },
};

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let creator: Channel;
  let stranger: Channel;
  let nobody: Channel;
  let liar: Channel;
  beforeAll(async () => {
    server = await startTestServer(engine);
    creator = await server.user("creator");
    stranger = await server.user("stranger");
    nobody = server.channel();
    liar = server.channel("pogo_not-a-token-that-anybody-was-given");
    for (const name of ["open", "closed"]) {
      const remote = await createRemote(creator, name, { public: name === "open" });
      const { change } = await publish(remote, { a: "one" });
      await remote.setBookmark("main", change!.name);
    }
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each(Object.entries(reads))("%s reads a public repository, or one's own", async (_, ask) => {
    expect(await refusal(ask(nobody, "open"))).toBe("nothing");
    expect(await refusal(ask(stranger, "open"))).toBe("nothing");
    expect(await refusal(ask(creator, "open"))).toBe("nothing");
    expect(await refusal(ask(liar, "open"))).toBe("denied");

    expect(await refusal(ask(nobody, "closed"))).toBe("denied");
    expect(await refusal(ask(stranger, "closed"))).toBe("not-found");
    expect(await refusal(ask(creator, "closed"))).toBe("nothing");
    expect(await refusal(ask(liar, "closed"))).toBe("denied");

    expect(await refusal(ask(nobody, "absent"))).toBe("denied");
    expect(await refusal(ask(stranger, "absent"))).toBe("not-found");
    expect(await refusal(ask(stranger, "../closed\0"))).toBe("usage");
  });

  test.each(Object.entries(writes))("%s is for those who may write", async (_, ask) => {
    expect(await refusal(ask(nobody, "open"))).toBe("denied");
    expect(await refusal(ask(stranger, "open"))).toBe("denied");
    expect(await refusal(ask(liar, "open"))).toBe("denied");
    expect(await refusal(ask(creator, "open"))).toBe("nothing");

    expect(await refusal(ask(nobody, "closed"))).toBe("denied");
    expect(await refusal(ask(stranger, "closed"))).toBe("not-found");
    expect(await refusal(ask(liar, "closed"))).toBe("denied");
    expect(await refusal(ask(creator, "closed"))).toBe("nothing");

    expect(await refusal(ask(nobody, "absent"))).toBe("denied");
    expect(await refusal(ask(stranger, "absent"))).toBe("not-found");
  });

  test.each(Object.entries(personal))("%s needs a token", async (_, ask) => {
    expect(await refusal(ask(nobody, ""))).toBe("denied");
    expect(await refusal(ask(liar, ""))).toBe("denied");
    expect(await refusal(ask(stranger, ""))).toBe("nothing");
  });

  test("a list of repositories has what one may read", async () => {
    const list = async (channel: Channel) => {
      const { repositories } = await channel.unary(Repositories.listRepositories, { after: "" });
      return repositories
        .filter(({ name }) => name === "open" || name === "closed")
        .map(({ name, writable }) => `${name} ${writable}`);
    };
    expect(await list(nobody)).toEqual(["open false"]);
    expect(await list(stranger)).toEqual(["open false"]);
    expect(await list(creator)).toEqual(["closed true", "open true"]);
    expect(await refusal(list(liar))).toBe("denied");
  });

  test("every call of every service is in one of these tables", () => {
    const tested = [reads, writes, personal].flatMap((table) => Object.keys(table));
    const services = [Auth, Bookmarks, Changes, Operations, Pull, Push, Query, Repositories];
    const all = services.flatMap((service) => Object.keys(service));
    expect([...tested, "listRepositories"].sort()).toEqual(all.sort());
  });
});
