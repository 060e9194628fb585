import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { PushServiceService as Push } from "#gen/pogo/v1/push.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { newTokenText } from "#server/access/secret-text.ts";
import { ensureRoot } from "#server/auth.ts";
import { migrate } from "#server/db/migrate.ts";
import { engines, openTestDatabase, startMs } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

test("a token is made of letters and digits, and its end tells whether it was mistyped", () => {
  const tokens = new Set(Array.from({ length: 100 }, newTokenText));
  expect(tokens.size).toBe(100);
  for (const token of tokens) expect(token).toMatch(/^pogo_[0-9A-Za-z]{44}$/);
});

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  beforeAll(async () => void (server = await startTestServer(engine)));
  afterAll(() => server[Symbol.asyncDispose]());

  test("a token is created, listed without its text, used and revoked", async () => {
    const ann = await server.user("ann");
    const { secret, token } = await ann.unary(Auth.createToken, {
      name: "laptop",
      expiresAt: 0,
      user: "",
    });
    expect(token).toMatchObject({ name: "laptop", lastUsedAt: 0, expiresAt: 0 });
    const laptop = server.channel(secret);
    expect(await laptop.unary(Auth.getUser, {})).toMatchObject({
      name: "ann",
      token: { name: "laptop" },
    });
    const { tokens } = await ann.unary(Auth.listTokens, {});
    expect(tokens.map(({ name }) => name)).toEqual(["test", "laptop"]);
    expect(JSON.stringify(tokens)).not.toContain(secret);
    await ann.unary(Auth.revokeToken, { name: "laptop" });
    expect(await refusal(laptop.unary(Auth.getUser, {}))).toBe("denied");
    expect(await refusal(ann.unary(Auth.revokeToken, { name: "laptop" }))).toBe("not-found");
    const again = { name: "laptop", expiresAt: 0, user: "" };
    expect(await refusal(ann.unary(Auth.createToken, again))).toBe("nothing");
    expect(await refusal(ann.unary(Auth.createToken, again))).toBe("already-exists");
  });

  test("a token that is revoked through one server is good on none, and its user's neither", async () => {
    if (engine === "embedded") return;
    const { databaseUrl } = server;
    await using other = await startTestServer(engine, { databaseUrl, tokenCheckedMs: 1 });
    const fred = await server.user("fred");
    await createRemote(fred, "freds");
    const laptop = { name: "laptop", expiresAt: 0, user: "" };
    const { secret } = await fred.unary(Auth.createToken, laptop);
    const [here, there] = [server.channel(secret), other.channel(secret)];
    for (const channel of [here, there]) {
      expect(await refusal(channel.unary(Auth.getUser, {}))).toBe("nothing");
    }
    const begun = Promise.withResolvers<void>();
    const requests = async function* () {
      for (let count = 0; ; count++) {
        yield { repository: count === 0 ? "freds" : "", parts: [] };
        if (count > 0) begun.resolve();
        await Bun.sleep(2);
      }
    };
    const stream = refusal(there.clientStream(Push.putObjects, requests()));
    await begun.promise;
    await here.unary(Auth.revokeToken, { name: "laptop" });
    expect(await stream).toBe("denied");
    for (const channel of [here, there]) {
      expect(await refusal(channel.unary(Auth.getUser, {}))).toBe("denied");
    }
    const more = { name: "second", expiresAt: 0, user: "fred" };
    const root = other.channel(testRootToken);
    const second = server.channel((await root.unary(Auth.createToken, more)).secret);
    expect(await refusal(second.unary(Auth.getUser, {}))).toBe("nothing");
    await root.unary(Users.updateUser, { name: "fred", disabled: true });
    expect(await refusal(second.unary(Auth.getUser, {}))).toBe("denied");
  });

  test("a limited token makes none, and none is limited to what its owner may not see", async () => {
    const gwen = await server.user("gwen");
    await createRemote(gwen, "gwens");
    const limited = { name: "reader", expiresAt: 0, user: "", scope: "read" };
    const reader = server.channel((await gwen.unary(Auth.createToken, limited)).secret);
    const more = { name: "more", expiresAt: 0, user: "" };
    expect(await refusal(reader.unary(Auth.createToken, more))).toBe("denied");
    expect(await refusal(gwen.unary(Auth.createToken, { ...more, scope: "maintain" }))).toBe(
      "usage",
    );
    const hugo = await server.user("hugo");
    const bound = { ...more, repository: "gwens" };
    expect(await refusal(hugo.unary(Auth.createToken, bound))).toBe("not-found");
    const { token } = await gwen.unary(Auth.createToken, bound);
    expect(token).toMatchObject({ scope: "admin", repository: "gwens" });
  });

  test("only root creates tokens for others, and nobody one that is expired", async () => {
    const bob = await server.user("bob");
    const forAnother = { name: "x", expiresAt: 0, user: "eve" };
    expect(await refusal(bob.unary(Auth.createToken, forAnother))).toBe("denied");
    const asRoot = { name: "x", expiresAt: 0, user: "root" };
    expect(await refusal(bob.unary(Auth.createToken, asRoot))).toBe("denied");
    const expired = { name: "x", expiresAt: 1, user: "" };
    expect(await refusal(bob.unary(Auth.createToken, expired))).toBe("usage");
    const badName = { name: "a\nb", expiresAt: 0, user: "" };
    expect(await refusal(bob.unary(Auth.createToken, badName))).toBe("usage");
  });

  test("a token that has expired is denied", async () => {
    const carl = await server.user("carl");
    const expiresAt = Date.now() + 700;
    const { secret } = await carl.unary(Auth.createToken, { name: "brief", expiresAt, user: "" });
    const brief = server.channel(secret);
    expect(await refusal(brief.unary(Auth.getUser, {}))).toBe("nothing");
    while (Date.now() <= expiresAt + 5) await carl.unary(Auth.getUser, {});
    expect(await refusal(brief.unary(Auth.getUser, {}))).toBe("denied");
  });

  test("the last use of a token is noted", async () => {
    const dora = await server.user("dora");
    await dora.unary(Auth.getUser, {});
    for (let lastUsedAt = 0; lastUsedAt === 0;) {
      const { token } = await dora.unary(Auth.getUser, {});
      lastUsedAt = token!.lastUsedAt;
    }
  });

  test("root's token is what it was told, not a part of it", async () => {
    expect(await refusal(server.channel(testRootToken).unary(Auth.getUser, {}))).toBe("nothing");
    const part = server.channel(testRootToken.slice(0, -1));
    expect(await refusal(part.unary(Auth.getUser, {}))).toBe("denied");
  });

  test("root's token is made up once, and another one takes its place", async () => {
    await using database = await openTestDatabase(engine);
    const { sql } = database;
    await migrate(sql);
    const first = await ensureRoot(sql, undefined);
    expect(first.generated).toMatch(/^pogo_/);
    expect(await ensureRoot(sql, undefined)).toEqual({ generated: undefined });
    expect(await ensureRoot(sql, "a token that somebody chose")).toEqual({ generated: undefined });
    const rows = await sql`select revoked_at is null as valid from tokens order by token_id`;
    expect([...rows]).toEqual([{ valid: false }, { valid: true }]);
  });
});
