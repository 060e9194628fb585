/** Requests that a hostile client makes up: of commits, names, numbers and messages. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService as Changes } from "#gen/pogo/v1/change.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { PullServiceService as Pull } from "#gen/pogo/v1/pull.ts";
import { PushServiceService as Push, type CommitRequest } from "#gen/pogo/v1/push.ts";
import { QueryServiceService as Query } from "#gen/pogo/v1/query.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import { openAttack, secretTree, type Attack, type Calls } from "../support/attack.ts";
import {
  directoryEntry,
  fileEntry,
  forgeTree,
  linkEntry,
  partOf,
  plainObject,
} from "../support/forge.ts";
import { engines } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { withRawRequests, type RawClient } from "../support/raw-client.ts";

describe.each(engines)("%s", (engine) => {
  let attack: Attack;
  let mallory: RawClient;
  let remote: Remote;
  let own: Change;
  let foreign: Change;
  const commit = (overrides: Partial<CommitRequest>) => attack.commit(overrides);
  const expectRefused = (code: string, calls: Calls) => attack.expectRefused(code, calls);
  beforeAll(async () => {
    attack = await openAttack(engine);
    ({ mallory, remote, own, foreign } = attack);
  }, 60_000);
  afterAll(() => attack[Symbol.asyncDispose]());

  const parentOf = (change: Change, version = change.version) => {
    return { change: change.name, version, description: "", prefix: "" };
  };

  test("a commit that makes no sense is a usage error", async () => {
    const cases: Record<string, Partial<CommitRequest>> = {
      "no request id": { requestId: new Uint8Array(0) },
      "a request id of 15 bytes": { requestId: new Uint8Array(15) },
      "a request id of 17 bytes": { requestId: new Uint8Array(17) },
      "no change": { change: "" },
      "a path for a change": { change: "../../etc/passwd" },
      "a hash for a change": { change: "0123456789abcdef" },
      "upper case": { change: own.name.toUpperCase() },
      "a longer name": { change: `${own.name}k` },
      "a newline after the name": { change: `${newChangeName().slice(1)}\n` },
      "a child of no name": { child: "main" },
      "its own child": { change: own.name, child: own.name, expectedVersion: 1 },
      "a tree of 31 bytes": { tree: own.tree.subarray(1) },
      "no tree": { tree: new Uint8Array(0) },
      "parents of an old change": {
        change: own.name,
        expectedVersion: 1,
        parents: [parentOf(own)],
      },
      "17 parents": { parents: Array.from({ length: 17 }, () => parentOf(own)) },
      "one parent twice": { parents: [parentOf(own), parentOf(own)] },
      "an escape sequence": { description: "\u001b]0;owned\u0007" },
      "a carriage return": { description: "fine\rHARMLESS" },
      NUL: { description: "a\0b" },
      "a C1 control": { description: "a\u009b31mb" },
      DEL: { description: "a\u007fb" },
      "64 KiB of prose": { description: "x".repeat(64 * 1024 + 1) },
    };
    const calls = Object.entries(cases).map(([name, request]) => [name, () => commit(request)]);
    await expectRefused("usage", Object.fromEntries(calls));
  });

  test("versions, changes and trees that do not exist are not found", async () => {
    const cases: Record<string, Partial<CommitRequest>> = {
      "a version that does not exist": { change: own.name, expectedVersion: 99 },
      "the largest version": { change: own.name, expectedVersion: 2 ** 32 - 1 },
      "a version of no change": { expectedVersion: 1 },
      "a parent's version": { parents: [parentOf(own, 99)] },
      "a parent's version nought": { parents: [parentOf(own, 0)] },
      "a parent's largest version": { parents: [parentOf(own, 2 ** 32 - 1)] },
      "a parent that is no name": { parents: [{ ...parentOf(own), change: "'; drop table" }] },
      "a tree": { tree: new Uint8Array(32).fill(9) },
      "an object for a tree": { tree: plainObject("one").hash },
      "a parent of another repository": { parents: [parentOf(foreign)] },
      "a change of another repository": { change: foreign.name, expectedVersion: 1 },
      "a tree of another repository": { tree: secretTree.hash },
    };
    const calls = Object.entries(cases).map(([name, request]) => [name, () => commit(request)]);
    await expectRefused("not-found", Object.fromEntries(calls));
  });

  test("names that are paths, controls or statements are usage errors", async () => {
    const names = ["", ".", "..", "../anns", "/anns", "a/b", "a\0b", "a\nb", "\u001b[31m", "-x"];
    names.push("x".repeat(101), "anns;drop table users", "ann\u0073\u0301", "%2e%2e");
    const calls: Calls = {};
    for (const name of names) {
      calls[`create ${name}`] = () =>
        mallory.unary(Repositories.createRepository, {
          name,
          public: false,
          caseSensitive: false,
          requestId: newRequestId(),
        });
      calls[`get ${name}`] = () => mallory.unary(Repositories.getRepository, { name });
      calls[`find ${name}`] = () =>
        mallory.unary(Push.findMissing, { repository: name, objects: [], trees: [] });
      calls[`list ${name}`] = () =>
        mallory.unary(Bookmarks.listBookmarks, { repository: name, after: "" });
    }
    const words = ["", "-x", "a b", "a\0", "a\n", "@", "a..b", "a//b", "\u001b[31m", "\u202ea"];
    words.push("x".repeat(201), "a~1", "a:b", "a\\b", "a-");
    const set = { repository: "own", requestId: newRequestId(), revision: own.name };
    for (const name of words) {
      calls[`set ${name}`] = () => mallory.unary(Bookmarks.setBookmark, { ...set, name });
      calls[`delete ${name}`] = () =>
        mallory.unary(Bookmarks.deleteBookmark, {
          repository: "own",
          requestId: newRequestId(),
          name,
        });
      calls[`token ${name}`] = () =>
        mallory.unary(Auth.createToken, { name: `${name}\u0007`, expiresAt: 0, user: "" });
    }
    await expectRefused("usage", calls);
  });

  test("revisions and paths that make no sense are refused", async () => {
    const revisions = [
      "@",
      "a\0b",
      "~",
      "k~-1",
      "k@",
      "k@0",
      "k@99999999999999",
      "a b",
      "x".repeat(9999),
    ];
    const codes: string[] = [];
    for (const revision of revisions) {
      codes.push((await mallory.unary(Query.getChange, { repository: "own", revision })).code);
    }
    expect(new Set(codes).difference(new Set(["usage", "not-found"]))).toEqual(new Set());
    const calls: Calls = {};
    const paths = ["..", "../x", "/etc/passwd", "a\0b", "a//b", ".pogo/state", "C:\\x", "a/.git/b"];
    for (const path of paths) {
      const query = { repository: "own", revision: own.name, path };
      calls[`entry ${path}`] = () => mallory.unary(Query.getEntry, query);
      const list = { repository: "own", revisions: [], paths: [path], limit: 0 };
      calls[`list ${path}`] = () => mallory.serverStream(Query.listChanges, list);
    }
    await expectRefused("usage", calls);
  });

  test("a request id that is used again for other things does nothing", async () => {
    const requestId = newRequestId();
    const change = newChangeName();
    expect((await commit({ requestId, change })).code).toBe("ok");
    const { tree } = (await publish(remote, { "a.txt": "two" })).change!;
    await expectRefused("usage", {
      "another tree": () => commit({ requestId, change, tree }),
      "another change": () => commit({ requestId }),
      "a bookmark": () =>
        mallory.unary(Bookmarks.setBookmark, {
          repository: "own",
          requestId,
          name: "stolen",
          revision: own.name,
        }),
      "a description": () =>
        mallory.unary(Changes.describeChange, {
          repository: "own",
          requestId,
          revision: own.name,
          description: "stolen",
        }),
      "a removal": () =>
        mallory.unary(Changes.removeChange, { repository: "own", requestId, revision: own.name }),
    });
  });

  test("a snapshot with a symlink that leads out, or too deep, is refused at the commit", async () => {
    const object = plainObject("deep");
    await remote.putObjects([object]);
    const escaping = forgeTree(linkEntry("link", "../../outside"));
    const above = forgeTree(directoryEntry("d", escaping.hash));
    const control = forgeTree(linkEntry("link", "a/../.pogo/state.sqlite"));
    const direct = forgeTree(linkEntry("link", ".pogo/state.sqlite"));
    const hooks = forgeTree(linkEntry("link", ".GIT/hooks"));
    let deep = forgeTree(fileEntry("file", 4, object.hash));
    const trees = [escaping, above, control, direct, hooks, deep];
    for (let depth = 0; depth < 300; depth++) {
      deep = forgeTree(directoryEntry("d", deep.hash));
      trees.push(deep);
    }
    // By itself each may stand somewhere: only its place in a snapshot tells.
    await remote.putTrees(trees);
    await expectRefused("usage", {
      "a link to the parent": () => commit({ tree: escaping.hash }),
      "a link to the parent, below": () => commit({ tree: above.hash }),
      "a link through a directory": () => commit({ tree: control.hash }),
      "a link to Pogo's own": () => commit({ tree: direct.hash }),
      "a link to git's own": () => commit({ tree: hooks.hash }),
      "300 directories": () => commit({ tree: deep.hash }),
    });
  });

  test("messages that are too large or no messages are refused", async () => {
    const many = Array.from({ length: 16_385 }, () => new Uint8Array(32));
    await expectRefused("usage", {
      "too many hashes": () =>
        mallory.unary(Push.findMissing, { repository: "own", objects: many, trees: [] }),
      "too many objects": () =>
        mallory.serverStream(Pull.getObjects, {
          repository: "own",
          hashes: many,
          acceptUrls: false,
        }),
      "too many paths": () =>
        mallory.serverStream(Query.listChanges, {
          repository: "own",
          revisions: [],
          paths: Array.from({ length: 1001 }, (_, index) => `p${index}`),
          limit: 0,
        }),
    });
    // RESOURCE_EXHAUSTED, before any of it is read.
    const large = partOf(plainObject("x".repeat(5_000_000)));
    await expectRefused("grpc 8", {
      "a message of 5 MB": () =>
        mallory.clientStream(Push.putObjects, [{ repository: "own", parts: [large] }]),
      "a description of 5 MB": () => commit({ description: "x".repeat(5_000_000) }),
    });
    // INTERNAL: gRPC could not read them.
    const garbage = withRawRequests(Push.commit);
    await expectRefused("grpc 13", {
      garbage: () => mallory.unary(garbage, Buffer.from("ffffffffffffffffffff", "hex")),
      "half a message": () => mallory.unary(garbage, Buffer.from([0x0a, 0x7f, 0x61])),
    });
  });

  test("numbers at the ends of their range are harmless", async () => {
    const list = { repository: "own", revisions: [own.name], paths: [], limit: 2 ** 32 - 1 };
    expect((await mallory.serverStream(Query.listChanges, list)).code).toBe("ok");
    const everything = { ...list, revisions: [] };
    expect((await mallory.serverStream(Query.listChanges, everything)).code).toBe("ok");
    const far = { repository: "own", revision: `${own.name}~999999999` };
    expect((await mallory.unary(Query.getChange, far)).code).toBe("not-found");
    const calls: Calls = {};
    for (const expiresAt of [-1, 1, -8.64e15, 8.64e15, 9e15, Number.MAX_SAFE_INTEGER]) {
      const request = { name: `t${expiresAt}`, expiresAt, user: "" };
      calls[`expires at ${expiresAt}`] = () => mallory.unary(Auth.createToken, request);
    }
    await expectRefused("usage", calls);
  });

  test("a stream that changes its repository on the way is refused", async () => {
    const object = plainObject("smuggled");
    await expectRefused("usage", {
      "another name": () =>
        mallory.clientStream(Push.putObjects, [
          { repository: "own", parts: [] },
          { repository: "anns", parts: [partOf(object)] },
        ]),
      "no name": () =>
        mallory.clientStream(Push.putObjects, [{ repository: "", parts: [partOf(object)] }]),
      "no message": () => mallory.clientStream(Push.putTrees, []),
    });
  });
});
