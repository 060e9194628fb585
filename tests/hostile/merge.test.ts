/** Merges and syncs that a hostile client makes up: typed errors, and nothing is written. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import {
  MergeServiceService as Merge,
  type MergeChangesRequest,
  type SyncBookmarkRequest,
} from "#gen/pogo/v1/merge.ts";
import { openAttack, type Attack, type Calls } from "../support/attack.ts";
import { engines } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { openRawClient, withRawRequests } from "../support/raw-client.ts";

describe.each(engines)("%s", (engine) => {
  let attack: Attack;
  let remote: Remote;
  let own: Change;
  let other: Change;
  let foreign: Change;
  const expectRefused = (code: string, calls: Calls) => attack.expectRefused(code, calls);
  beforeAll(async () => {
    attack = await openAttack(engine);
    ({ remote, own, foreign } = attack);
    other = (await publish(remote, { "a.txt": "another" })).change!;
    await attack.mallory.unary(Bookmarks.setBookmark, {
      repository: "own",
      requestId: newRequestId(),
      name: "main",
      revision: own.name,
    });
  }, 60_000);
  afterAll(() => attack[Symbol.asyncDispose]());

  const merge = (overrides: Partial<MergeChangesRequest>, caller = attack.mallory) => {
    return caller.unary(Merge.mergeChanges, {
      repository: "own",
      requestId: newRequestId(),
      revisions: [own.name, other.name],
      description: "hostile",
      change: newChangeName(),
      ...overrides,
    });
  };
  const sync = (overrides: Partial<SyncBookmarkRequest>, caller = attack.mallory) => {
    return caller.unary(Merge.syncBookmark, {
      repository: "own",
      requestId: newRequestId(),
      bookmark: "main",
      revision: other.name,
      description: "hostile",
      change: newChangeName(),
      ...overrides,
    });
  };
  const merges = (cases: Record<string, Partial<MergeChangesRequest>>): Calls => {
    const calls = Object.entries(cases).map(([name, request]) => [name, () => merge(request)]);
    return Object.fromEntries(calls);
  };
  const syncs = (cases: Record<string, Partial<SyncBookmarkRequest>>): Calls => {
    const calls = Object.entries(cases).map(([name, request]) => [name, () => sync(request)]);
    return Object.fromEntries(calls);
  };

  const badIds = {
    "no request id": { requestId: new Uint8Array(0) },
    "a request id of 15 bytes": { requestId: new Uint8Array(15) },
    "a request id of 1 MB": { requestId: new Uint8Array(1_000_000) },
  };
  const badTexts = {
    "an escape sequence": { description: "\u001b]0;owned\u0007" },
    "a carriage return": { description: "fine\rHARMLESS" },
    NUL: { description: "a\0b" },
    "64 KiB of prose and more": { description: "x".repeat(64 * 1024 + 1) },
    "64 KiB of prose in two-byte letters": { description: "é".repeat(32 * 1024 + 1) },
  };
  const badChanges = () => ({
    "no change": { change: "" },
    "a path for a change": { change: "../../etc/passwd" },
    "a hash for a change": { change: "0123456789abcdef" },
    "upper case": { change: newChangeName().toUpperCase() },
    "a newline after the name": { change: `${newChangeName().slice(1)}\n` },
    "a longer name": { change: `${newChangeName()}k` },
  });

  test("a merge that makes no sense is a usage error", async () => {
    await expectRefused("usage", {
      ...merges({ ...badIds, ...badTexts, ...badChanges() }),
      ...merges({
        "nothing to merge": { revisions: [] },
        "one revision": { revisions: [own.name] },
        "one twice": { revisions: [own.name, own.name] },
        "one twice, by a version": { revisions: [own.name, `${own.name}@1`] },
        "one twice, by a bookmark": { revisions: ["main", own.name] },
        "17 revisions": { revisions: Array.from({ length: 17 }, () => own.name) },
        "10,000 revisions": { revisions: Array.from({ length: 10_000 }, () => "main") },
        "an empty revision": { revisions: [own.name, ""] },
        "an empty repository": { repository: "" },
        "a path for a repository": { repository: "../anns" },
      }),
    });
  });

  test("a sync that makes no sense is a usage error", async () => {
    const names = ["", "-x", "a b", "a\0", "@", "a..b", "a//b", "\u001b[31m", "\u202ea", "a~1"];
    names.push("x".repeat(201), "a:b", "a\\b");
    await expectRefused("usage", {
      ...syncs({ ...badIds, ...badTexts, ...badChanges() }),
      ...syncs(Object.fromEntries(names.map((bookmark) => [`bookmark ${bookmark}`, { bookmark }]))),
      ...syncs({ "no repository": { repository: "" } }),
    });
  });

  test("changes, bookmarks and repositories that do not exist are not found", async () => {
    const revisions = (revision: string) => ({ revisions: [own.name, revision] });
    await expectRefused("not-found", {
      ...merges({
        "a name": revisions(newChangeName()),
        "a bookmark": revisions("no-such"),
        "a version": revisions(`${own.name}@99`),
        "an ancestor": revisions(`${own.name}~999999999`),
        "of another repository": revisions(foreign.name),
        "a version of another repository": revisions(`${foreign.name}@1`),
        "two of another repository": { revisions: [foreign.name, foreign.name.slice(0, 8)] },
        "a repository": { repository: "no-such" },
        "another's repository": { repository: "anns" },
        "another's, with a change of its own": {
          repository: "anns",
          revisions: [foreign.name, `${foreign.name}@1`],
        },
      }),
      ...syncs({
        "a change to sync": { revision: newChangeName() },
        "another's change to sync": { revision: foreign.name },
        "a new bookmark of another's change": { bookmark: "stolen", revision: foreign.name },
        "a sync in another's repository": { repository: "anns", revision: foreign.name },
      }),
    });
  });

  test("revisions that are statements, options or controls are refused", async () => {
    const words = ["'; drop table changes; --", "-x", "a\0b", "k~-1", "k@0", "k@99999999999999"];
    words.push("x".repeat(9999), "\u202e", "@", "~", "a b", "%2e%2e");
    const before = await merge({ revisions: ["main", newChangeName()] });
    const codes = [before.code];
    for (const revision of words) {
      codes.push((await merge({ revisions: [own.name, revision] })).code);
      codes.push((await sync({ revision })).code);
    }
    expect(new Set(codes).difference(new Set(["usage", "not-found"]))).toEqual(new Set());
  });

  test("the name of a change that there is cannot be taken", async () => {
    await expectRefused("already-exists", {
      "a merge": () => merge({ change: own.name }),
      "a merge of itself": () => merge({ change: other.name }),
    });
    // Its merge is made before the name is needed: what nothing names is garbage.
    expect((await sync({ change: own.name })).code).toBe("already-exists");
    expect((await remote.getChange("main")).name).toBe(own.name);
  });

  test("a stranger, and one with a made-up token, may do neither", async () => {
    const { url } = attack.server.server;
    using stranger = openRawClient(url);
    using liar = openRawClient(url, "pogo_made_up_0123456789abcdefghijklmnop");
    await expectRefused("denied", {
      "a merge without a token": () => merge({}, stranger),
      "a sync without a token": () => sync({}, stranger),
      "a merge with a made-up token": () => merge({}, liar),
      "a sync with a made-up token": () => sync({}, liar),
    });
  });

  test("garbage is no request", async () => {
    const garbage = withRawRequests(Merge.mergeChanges);
    await expectRefused("grpc 13", {
      bytes: () => attack.mallory.unary(garbage, Buffer.from("ffffffffffffffffffff", "hex")),
    });
    await expectRefused("grpc 8", {
      "5 MB of revisions": () =>
        merge({ revisions: Array.from({ length: 600_000 }, () => "kkkkkkkk") }),
    });
  });

  test("a request id that is used again for other things does nothing", async () => {
    const requestId = newRequestId();
    const change = newChangeName();
    expect((await merge({ requestId, change })).code).toBe("ok");
    await expectRefused("usage", {
      "another change": () => merge({ requestId }),
      "a sync": () => sync({ requestId, change }),
      "a bookmark": () =>
        attack.mallory.unary(Bookmarks.setBookmark, {
          repository: "own",
          requestId,
          name: "stolen",
          revision: own.name,
        }),
    });
    const again = await merge({ requestId, change });
    expect(again.code).toBe("ok");
    expect(again.responses[0]?.change?.name).toBe(change);
  });
});
