import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, openRemote, type Remote } from "#client/remote.ts";
import { isPogoError } from "#core/errors.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { OperationServiceService as Operations } from "#gen/pogo/v1/operation.ts";
import { RuleServiceService as Rules, type Rule } from "#gen/pogo/v1/rule.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

/** What a refusal says, without the names in it. */
async function why(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "nothing";
  } catch (error) {
    if (!isPogoError(error)) throw error;
    const said = error.message.replace(/\b[k-z]{8}(?=\b|[k-z]{8})/g, "X");
    return error.code === "denied" ? said : `${error.code}: ${said}`;
  }
}

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let bob: Channel;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
    bob = await server.user("bob");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  let count = 0;
  /** A repository of Ann's, which Bob may write: changes on each other, `main` at the second. */
  async function prepare(...rules: (Partial<Rule> & { pattern: string })[]) {
    const repository = `repository-${++count}`;
    const remote = await createRemote(ann, repository);
    const member = { name: "bob", group: false, role: "write" };
    await ann.unary(Members.setMember, { repository, member });
    const first = (await publish(remote, { f: "1" }, { description: "first" })).change!;
    const on = (change: string, version = 1) => ({
      parents: [{ change, version, description: "", prefix: "" }],
    });
    const second = (await publish(remote, { f: "2" }, { description: "second", ...on(first.name) }))
      .change!;
    const third = (await publish(remote, { f: "3" }, { description: "third", ...on(second.name) }))
      .change!;
    const aside = (await publish(remote, { g: "1" }, on(first.name))).change!;
    await remote.setBookmark("main", second.name);
    const set = { role: "write", forwardOnly: false, neverDeleted: false, immutable: false };
    for (const rule of rules) {
      const whole = { described: false, ...set, ...rule };
      await ann.unary(Rules.setRule, { repository, rule: whole });
    }
    const others: Remote = openRemote(bob, repository);
    return { repository, remote, others, first, second, third, aside };
  }

  test("a bookmark that moves forward only does so, whoever moves it, however", async () => {
    const { repository, remote, others, first, second, third, aside } = await prepare({
      pattern: "main",
      forwardOnly: true,
      neverDeleted: true,
    });
    const back = "bookmark main is protected: it only moves forward, to what stands on change X";
    expect(await why(others.setBookmark("main", first.name))).toBe(back);
    expect(await why(remote.setBookmark("main", aside.name))).toBe(back);
    expect(await why(others.setBookmark("main", second.name))).toBe("nothing");
    const kept = "bookmark main is protected: it is never deleted";
    expect(await why(remote.deleteBookmark("main"))).toBe(kept);
    expect(await why(others.setBookmark("main", third.name))).toBe("nothing");
    const undo = { repository, requestId: newRequestId(), number: 0 };
    expect(await why(bob.unary(Operations.undoOperation, undo))).toBe(back);
    expect(await why(others.setBookmark("other", first.name))).toBe("nothing");
    expect(await why(remote.deleteBookmark("other"))).toBe("nothing");
  });

  test("what a protected bookmark stands on is not rewritten, and what stands on it is", async () => {
    const { remote, first, second, third, aside } = await prepare({
      pattern: "ma*",
      forwardOnly: true,
    });
    const at = "bookmark main is protected: change X, where it is, is not rewritten";
    const below = "bookmark main is protected: change X, which it stands on, is not rewritten";
    expect(await why(remote.describeChange(second.name, "other"))).toBe(at);
    expect(await why(remote.describeChange(first.name, "other"))).toBe(below);
    expect(await why(remote.removeChange(first.name))).toStartWith("bookmark main is protected");
    expect(await why(remote.removeChange(second.name))).toStartWith("bookmark main is protected");
    expect(await why(remote.describeChange(third.name, "other"))).toBe("nothing");
    expect(await why(remote.describeChange(aside.name, "other"))).toBe("nothing");
    expect(await why(remote.removeChange(third.name))).toBe("nothing");
  });

  test("a bookmark that is immutable is made once", async () => {
    const { remote, first, second } = await prepare({ pattern: "v*", immutable: true });
    expect(await why(remote.setBookmark("v1", second.name))).toBe("nothing");
    const stays = "bookmark v1 is protected: it is never moved";
    expect(await why(remote.setBookmark("v1", first.name))).toBe(stays);
    const kept = "bookmark v1 is protected: it is never deleted";
    expect(await why(remote.deleteBookmark("v1"))).toBe(kept);
    expect(await why(remote.describeChange(first.name, "other"))).toContain("it stands on");
    expect(await why(remote.setBookmark("dev", first.name))).toBe("nothing");
    expect(await why(remote.setBookmark("dev", second.name))).toBe("nothing");
  });

  test("only who has the role creates, moves, deletes and rewrites", async () => {
    const { repository, remote, others, second, third } = await prepare(
      { pattern: "main", role: "maintain" },
      { pattern: "*n", role: "read" },
    );
    const role = "bookmark main is protected: moving it needs the role maintain";
    expect(await why(others.setBookmark("main", third.name))).toBe(role);
    expect(await why(others.deleteBookmark("main"))).toBe(role);
    expect(await why(others.describeChange(second.name, "other"))).toBe(role);
    const sync = { revision: third.name, bookmark: "main", change: newChangeName() };
    const asked = { requestId: newRequestId(), description: "", ...sync };
    expect(await why(others.syncBookmark(asked))).toBe(role);
    const own = { repository, rule: { pattern: "main", role: "write" } as Rule };
    expect(await why(bob.unary(Rules.setRule, own))).toStartWith("bob may not maintain");
    expect(await why(remote.setBookmark("main", third.name))).toBe("nothing");
    const member = { name: "bob", group: false, role: "maintain" };
    await ann.unary(Members.setMember, { repository, member });
    expect(await why(others.setBookmark("main", second.name))).toBe("nothing");
    expect(await why(others.deleteBookmark("main"))).toBe("nothing");
    expect(await why(others.setBookmark("main", second.name))).toBe("nothing");
  });

  test("who could not move a bookmark cannot lift its rule", async () => {
    const { repository, second } = await prepare({ pattern: "main", role: "admin" });
    const member = { name: "bob", group: false, role: "maintain" };
    await ann.unary(Members.setMember, { repository, member });
    const decide = "bob may not decide what needs the role admin";
    const pattern = "main";
    expect(await why(bob.unary(Rules.removeRule, { repository, pattern }))).toBe(decide);
    const weaker = { ...(await bob.unary(Rules.listRules, { repository })).rules[0]! };
    weaker.role = "write";
    expect(await why(bob.unary(Rules.setRule, { repository, rule: weaker }))).toBe(decide);
    expect(await why(ann.unary(Rules.removeRule, { repository, pattern }))).toBe("nothing");
    const others = openRemote(bob, repository);
    expect(await why(others.setBookmark("main", second.name))).toBe("nothing");
    expect(await why(ann.unary(Rules.removeRule, { repository, pattern }))).toStartWith(
      "not-found",
    );
  });

  test("a bookmark that wants descriptions gets none without, nor loses one", async () => {
    const { remote, second, aside } = await prepare({ pattern: "*", described: true });
    const none = "has no description";
    expect(await why(remote.setBookmark("main", aside.name))).toContain(none);
    expect(await why(remote.describeChange(second.name, " \n"))).toContain(none);
    expect(await why(remote.describeChange(second.name, "better"))).toBe("nothing");
    expect(await why(remote.describeChange(aside.name, "aside"))).toBe("nothing");
    expect(await why(remote.setBookmark("main", aside.name))).toBe("nothing");
  });
});
