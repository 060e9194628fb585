import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { auditHash } from "#core/audit.ts";
import type { Json } from "#core/operation.ts";
import { AuditServiceService as Audit, type AuditEvent } from "#gen/pogo/v1/audit.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let root: Channel;
  beforeAll(async () => {
    server = await startTestServer(engine);
    root = server.channel(testRootToken);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function list(query: { since?: number; user?: string; limit?: number } = {}) {
    const request = { since: 0, user: "", limit: 0, ...query };
    const pages = root.serverStream(Audit.listAuditEvents, request);
    return (await Array.fromAsync(pages)).flatMap(({ events }) => events);
  }

  test("each event is bound to all before it", async () => {
    for (const name of ["one", "two"]) await root.unary(Users.createUser, { name, admin: false });
    const events = (await list()).reverse();
    let previous: Uint8Array = new Uint8Array(32);
    for (const [index, event] of events.entries()) {
      expect(event.number).toBe(index + 1);
      expect(hashAfter(previous, event).toHex()).toBe(event.hash.toHex());
      previous = event.hash;
    }
    const forged = { ...events[0]!, user: "somebody" };
    expect(hashAfter(new Uint8Array(32), forged).toHex()).not.toBe(events[0]!.hash.toHex());
  });

  test("what is refused is there once a minute, with who, whence and why", async () => {
    const eve = await server.user("eve");
    const ann = await server.user("ann");
    await createRemote(ann, "secret");
    const look = (name: string) => refusal(eve.unary(Repositories.getRepository, { name }));
    for (let time = 0; time < 3; time++) expect(await look("secret")).toBe("not-found");
    expect(await look("absent")).toBe("not-found");
    const after = "";
    expect(await refusal(eve.unary(Users.listUsers, { after }))).toBe("denied");
    const common = { user: "eve", token: "test", address: "127.0.0.1", allowed: false };
    const reason = (text: string) => JSON.stringify({ reason: text });
    expect(await list({ user: "eve" })).toMatchObject([
      {
        ...common,
        action: "UserService/ListUsers",
        details: reason("eve does not administer this server"),
      },
      {
        ...common,
        action: "RepositoryService/GetRepository",
        details: reason('no repository is named "secret"'),
      },
    ]);
    const nobody = server.channel("pogo_not-a-token-that-anybody-was-given");
    expect(await refusal(nobody.unary(Auth.getUser, {}))).toBe("denied");
    expect(await list({ limit: 1 })).toMatchObject([
      { user: "", token: "", allowed: false, action: "AuthService/GetUser" },
    ]);
  });

  test("of several who redeem one invite at once, one gets a token", async () => {
    const expiresAt = Date.now() + 60_000;
    const { invite } = await root.unary(Users.createInvite, { user: "new", expiresAt });
    const redeem = (index: number) =>
      server.channel().unary(Users.redeemInvite, { invite, tokenName: `token ${index}` });
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => refusal(redeem(i))));
    expect(answers.sort()).toEqual([...Array(5).fill("denied"), "nothing"]);
    const [event] = await list({ user: "new" });
    expect(event).toMatchObject({ action: "UserService/RedeemInvite", allowed: true });
    expect(JSON.stringify(await list())).not.toContain(invite);
  });

  test("an invite that has expired, was cut off or never was is denied", async () => {
    const expiresAt = Date.now() + 150;
    const { invite } = await root.unary(Users.createInvite, { user: "late", expiresAt });
    while (Date.now() <= expiresAt + 5) await root.unary(Auth.getUser, {});
    const redeem = (text: string) =>
      refusal(server.channel().unary(Users.redeemInvite, { invite: text, tokenName: "first" }));
    for (const text of [invite, invite.slice(0, -1), "", "pogoinvite_"]) {
      expect(await redeem(text)).toBe("denied");
    }
    const forever = { user: "late", expiresAt: Date.now() + 1e12 };
    expect(await refusal(root.unary(Users.createInvite, forever))).toBe("usage");
  });
});

function hashAfter(previous: Uint8Array, event: AuditEvent): Uint8Array {
  return auditHash(previous as Uint8Array<ArrayBuffer>, {
    number: event.number,
    createdAt: event.createdAt,
    userName: event.user || null,
    tokenName: event.token || null,
    address: event.address,
    action: event.action,
    repositoryName: event.repository || null,
    allowed: event.allowed,
    details: JSON.parse(event.details) as { [key: string]: Json },
  });
}
