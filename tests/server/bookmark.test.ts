import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let remote: Remote;
  let one: string;
  let two: string;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
    remote = await createRemote(ann, "marked");
    one = (await publish(remote, { f: "1" })).change!.name;
    two = (await publish(remote, { f: "2" })).change!.name;
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a bookmark is set, moved and deleted by who knows where it points", async () => {
    expect(await remote.setBookmark("v1", one, "")).toMatchObject({
      bookmark: { name: "v1", change: { name: one, bookmarks: ["v1"], sealed: true } },
      previousChange: "",
    });
    expect(await refusal(remote.setBookmark("v1", two, ""))).toBe("conflict");
    expect(await refusal(remote.setBookmark("v1", two, two))).toBe("conflict");
    expect(await remote.setBookmark("v1", two, one)).toMatchObject({ previousChange: one });
    expect(await remote.setBookmark("v1", one)).toMatchObject({ previousChange: two });
    expect(await refusal(remote.deleteBookmark("v1", two))).toBe("conflict");
    expect(await remote.deleteBookmark("v1", one)).toMatchObject({ bookmark: { name: "v1" } });
    expect(await refusal(remote.deleteBookmark("v1"))).toBe("not-found");
    expect(await refusal(remote.setBookmark("v1", two, one))).toBe("conflict");
  });

  test("names that revisions could not spell are refused, and revisions that name no change", async () => {
    for (const name of ["", "a b", "-x", "x-", "a..b", "@", "a~1", "a\0"]) {
      expect(await refusal(remote.setBookmark(name, one))).toBe("usage");
    }
    expect(await refusal(remote.setBookmark("x", "nothing"))).toBe("not-found");
    expect(await refusal(remote.setBookmark("x", ""))).toBe("usage");
    const draft = (await publish(remote, { f: "1" })).change!.name;
    await publish(remote, { f: "2" }, { change: draft, expectedVersion: 1 });
    expect(await refusal(remote.setBookmark("x", `${draft}@1`))).toBe("usage");
    expect(await refusal(remote.setBookmark("x", `${draft}@2`))).toBe("nothing");
  });

  test("a request that is sent again is answered as before", async () => {
    const set = { repository: "marked", requestId: newRequestId(), name: "again", revision: one };
    await ann.unary(Bookmarks.setBookmark, set);
    await remote.setBookmark("again", two);
    const answer = await ann.unary(Bookmarks.setBookmark, { ...set, expectedChange: "" });
    expect(answer).toMatchObject({ previousChange: "", bookmark: { change: { name: two } } });
    const gone = { repository: "marked", requestId: newRequestId(), name: "again" };
    const first = await ann.unary(Bookmarks.deleteBookmark, gone);
    expect(await ann.unary(Bookmarks.deleteBookmark, gone)).toMatchObject({
      bookmark: { name: "again", updatedAt: first.bookmark!.updatedAt },
    });
  });

  test("of many who create one bookmark at once, one does", async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => refusal(remote.setBookmark("race", one, ""))),
    );
    expect(answers.sort()).toEqual([...Array(7).fill("conflict"), "nothing"]);
  });

  test("very many bookmarks are listed in pages, by name", async () => {
    const many = await createRemote(ann, "many");
    const { change } = await publish(many, { f: "1" });
    const names = Array.from({ length: 120 }, (_, index) => `b${String(index).padStart(3, "0")}`);
    for (const name of names) await many.setBookmark(name, change!.name);
    // So long that a message does not hold a page of them.
    await many.describeChange(change!.name, "d".repeat(60_000));
    const listed = await Array.fromAsync(many.listBookmarks());
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect((await many.getChange("b000")).bookmarks.length).toBe(100);
  });
});
