/** Secrets of repositories: sealed at rest, told to few, and never by the way. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { secretBytesMax, secretsMax } from "#core/limits.ts";
import { AuditServiceService as Audit } from "#gen/pogo/v1/audit.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { openChannel, type Channel } from "#rpc/channel.ts";
import { connect } from "#server/db/connect.ts";
import { sealSecret, unsealSecret } from "#server/sealing.ts";
import { startServer } from "#server/server.ts";
import { createDatabase, engines, startMs, temporaryDirectory } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import {
  createRemote,
  startTestServer,
  testRootToken,
  type TestServer,
} from "../support/server.ts";

setDefaultTimeout(startMs);

const key = (id: string) => `${id}: ${randomBytes(32).toString("base64")}`;
const value = "correct horse\nbattery staple \u{1f40e}\n";
const repository = "game";
const name = "TOKEN";

const [engine = "embedded"] = engines;

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  beforeAll(async () => {
    server = await startTestServer(engine, { keys: key("first") });
    ann = await server.user("ann");
    await createRemote(ann, repository);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a secret is set, replaced, told and removed, and listed without its value", async () => {
    const set = (text: string) => ann.unary(Secrets.setSecret, { repository, name, value: text });
    expect(await set("first")).toMatchObject({ replaced: false });
    const { secret, replaced } = await set(value);
    expect([secret!.setBy, replaced]).toEqual(["ann", true]);
    expect(Date.now() - secret!.setAt).toBeLessThan(startMs);
    expect(await ann.unary(Secrets.listSecrets, { repository })).toEqual({ secrets: [secret!] });
    expect(await ann.unary(Secrets.getSecret, { repository, name })).toEqual({ value });
    expect(await ann.unary(Secrets.removeSecret, { repository, name })).toEqual({ secret });
    expect(await refusal(ann.unary(Secrets.getSecret, { repository, name }))).toBe("not-found");
    expect(await refusal(ann.unary(Secrets.removeSecret, { repository, name }))).toBe("not-found");
  });

  test("the audit log says who set and read it, and not what it is", async () => {
    await ann.unary(Secrets.setSecret, { repository, name, value });
    await ann.unary(Secrets.getSecret, { repository, name });
    const max = await server.user("max");
    const member = { name: "max", group: false, role: "maintain" };
    await ann.unary(Members.setMember, { repository, member });
    expect(await refusal(max.unary(Secrets.getSecret, { repository, name }))).toBe("denied");
    const root = server.channel(testRootToken);
    const query = { since: 0, user: "", limit: 0 };
    const pages = await Array.fromAsync(root.serverStream(Audit.listAuditEvents, query));
    const told = pages
      .flatMap(({ events }) => events)
      .filter(({ action }) => action.startsWith("SecretService"))
      .map(({ user, action, allowed }) => `${user} ${action} ${allowed}`);
    expect(told.slice(0, 3)).toEqual([
      "max SecretService/GetSecret false",
      "ann SecretService/GetSecret true",
      "ann SecretService/SetSecret true",
    ]);
    expect(JSON.stringify(pages)).not.toContain("horse");
  });

  test("what is no name, no text, nothing or too much is refused, and not repeated", async () => {
    const set = (request: { name?: string; value?: string }) =>
      ann.unary(Secrets.setSecret, { repository, name, value, ...request });
    for (const wrong of ["", "1ST", "A B", "A=horse", "a\0", "é", "../A", "A".repeat(101)]) {
      const error = await set({ name: wrong }).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: "usage", message: expect.not.stringContaining("horse") });
      expect(await refusal(ann.unary(Secrets.getSecret, { repository, name: wrong }))).toBe(
        "usage",
      );
    }
    for (const wrong of ["", "a\0", "x".repeat(secretBytesMax + 1)]) {
      expect(await refusal(set({ value: wrong }))).toBe("usage");
    }
    const largest = "x".repeat(secretBytesMax);
    await set({ value: largest });
    expect(await ann.unary(Secrets.getSecret, { repository, name })).toEqual({ value: largest });
  });

  test.skipIf(engine !== "postgres")("a row holds no value, and opens nowhere else", async () => {
    await createRemote(ann, "other");
    await ann.unary(Secrets.setSecret, { repository, name, value });
    const sql = connect(server.databaseUrl!);
    try {
      const [row] = await sql<{ sealed: Uint8Array }[]>`select sealed from secrets`;
      expect(Buffer.from(row!.sealed).includes("horse")).toBe(false);
      await sql`
        insert into secrets (repository_id, name, key_number, sealed, set_by)
        select r.repository_id, s.name, s.key_number, s.sealed, s.set_by
        from secrets s, repositories r where r.name = 'other'`;
    } finally {
      await sql.end();
    }
    const get = (from: string) => refusal(ann.unary(Secrets.getSecret, { repository: from, name }));
    expect(await get("other")).toBe("corrupt");
    expect(await get(repository)).toBe("nothing");
  });

  test("a repository has so many secrets and no more", async () => {
    await createRemote(ann, "full");
    const set = (index: number) =>
      ann.unary(Secrets.setSecret, { repository: "full", name: `A${index}`, value });
    await Promise.all(Array.from({ length: secretsMax }, (_, index) => set(index)));
    expect(await refusal(set(secretsMax))).toBe("usage");
    expect(await set(0)).toMatchObject({ replaced: true });
  });
});

test("a server without keys keeps none, and says what would help", async () => {
  await using bare = await startTestServer(engine);
  const bob = await bare.user("bob");
  await createRemote(bob, repository);
  const error = await bob
    .unary(Secrets.setSecret, { repository, name, value })
    .catch((caught: unknown) => caught);
  expect(error).toMatchObject({
    code: "denied",
    message: "this server has no keys to seal secrets with",
    hint: "whoever runs it may give it some: pogo serve --keys FILE",
  });
  expect(await bob.unary(Secrets.listSecrets, { repository })).toEqual({ secrets: [] });
  expect(await refusal(bob.unary(Secrets.getSecret, { repository, name }))).toBe("not-found");
});

test("another key of the operator's opens what was set under the one before", async () => {
  using directory = temporaryDirectory();
  await using database = engine === "postgres" ? await createDatabase() : undefined;
  const [old, next] = [key("old"), key("next")];
  const withKeys = async (keys: string, use: (root: Channel) => Promise<unknown>) => {
    const running = await startServer({
      dataDirectory: join(directory.path, "data"),
      listen: "127.0.0.1:0",
      databaseUrl: database?.url,
      rootToken: testRootToken,
      keys,
    });
    const root = openChannel({ url: running.url, token: testRootToken });
    try {
      return await use(root);
    } finally {
      root.close();
      await running.close();
    }
  };
  const get = (root: Channel) => root.unary(Secrets.getSecret, { repository, name });
  await withKeys(old, async (root) => {
    await createRemote(root, repository);
    await root.unary(Secrets.setSecret, { repository, name, value });
  });
  expect(await withKeys(`${next}\n${old}`, get)).toEqual({ value });
  expect(await withKeys(next, get)).toEqual({ value });
  expect(await refusal(withKeys(old, get))).toBe("usage");
});

test("a sealed secret opens under its name in its repository, with its key, or not at all", () => {
  const keys = { current: 2, keys: new Map([1, 2].map((number) => [number, randomBytes(32)])) };
  const secret = sealSecret(keys, { repositoryId: 1, name }, value);
  expect(unsealSecret(keys, secret)).toBe(value);
  const { sealed } = secret;
  const flipped = Uint8Array.from(sealed, (byte, index) => (index === 20 ? byte ^ 1 : byte));
  const moved = [
    { repositoryId: 2 },
    { repositoryId: 11 },
    { name: "TOKENS" },
    { keyNumber: 1 },
    { sealed: flipped },
    { sealed: sealed.subarray(1) },
    { sealed: sealed.subarray(0, 12) },
  ];
  for (const change of moved) {
    expect(() => unsealSecret(keys, { ...secret, ...change })).toThrow("is damaged");
  }
  expect(() => unsealSecret(undefined, secret)).toThrow("which is not here");
  const again = sealSecret(keys, { repositoryId: 1, name }, value);
  expect(again.sealed).not.toEqual(sealed);
});
