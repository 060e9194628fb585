/** Programs that come with a token of the place that they run in. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from "jose";

import { openRemote } from "#client/remote.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { SecretServiceService as Secrets } from "#gen/pogo/v1/secret.ts";
import { WorkloadServiceService as Workloads } from "#gen/pogo/v1/workload.ts";
import type { Channel } from "#rpc/channel.ts";
import { openPogo } from "../support/pogo.ts";
import { startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

const audience = "https://pogo.example";
let issuer: string;
let provider: ReturnType<typeof Bun.serve>;
let keys: { privateKey: CryptoKey; publicKey: CryptoKey };
let server: TestServer;
let ann: Channel;
beforeAll(async () => {
  keys = await generateKeyPair("ES256", { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "one", alg: "ES256" };
  provider = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch({ url }) {
      const { pathname } = new URL(url);
      if (pathname === "/keys") return Response.json({ keys: [jwk] });
      return Response.json({ issuer, jwks_uri: `${issuer}/keys` });
    },
  });
  issuer = `http://127.0.0.1:${provider.port}`;
  server = await startTestServer("embedded", {
    workloadIssuers: [issuer],
    keys: "test: passphrase of these tests",
  });
  ann = await server.user("ann");
  const remote = await createRemote(ann, "game");
  await publish(remote, { a: "one" });
  await createRemote(ann, "other");
  const subject = "repo:acme/game:*";
  const trust = { name: "ci", issuer, audience, subject, scope: "read", readsSecrets: false };
  await ann.unary(Workloads.setTrust, { repository: "game", trust });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await provider?.stop(true);
});

type Claims = {
  iss?: string;
  sub?: string;
  aud?: string | string[];
  age?: number;
  lifetime?: number;
  key?: CryptoKey | Uint8Array;
  alg?: string;
};

async function sign(claims: Claims = {}): Promise<string> {
  const { iss = issuer, sub = "repo:acme/game:main", aud = audience } = claims;
  const { age = 0, lifetime = 300, key = keys.privateKey, alg = "ES256" } = claims;
  const now = Math.floor(Date.now() / 1000) - age;
  return await new SignJWT({})
    .setProtectedHeader({ alg, kid: "one" })
    .setIssuer(iss)
    .setSubject(sub)
    .setAudience(aud)
    .setIssuedAt(now)
    .setExpirationTime(now + lifetime)
    .sign(key);
}

const exchange = (token: string, repository = "game") =>
  server.channel().unary(Workloads.exchangeToken, { repository, token });

test("a token that is believed is exchanged for one of the repository, for an hour", async () => {
  const { secret, expiresAt, trust } = await exchange(await sign({ aud: ["x", audience] }));
  expect(trust).toBe("ci");
  expect(expiresAt).toBeLessThanOrEqual(Date.now() + 3_600_000);
  const ci = server.channel(secret);
  expect(await ci.unary(Auth.getUser, {})).toMatchObject({
    name: "ci@game",
    token: { scope: "read", repository: "game" },
  });
  expect((await openRemote(ci, "game").getChange("")).version).toBe(1);
  expect(await refusal(openRemote(ci, "game").setBookmark("x", "main"))).toBe("denied");
  expect(await refusal(openRemote(ci, "other").getChange(""))).toBe("not-found");
});

test("what is about somebody else, for somebody else, or signed by somebody else is denied", async () => {
  const { privateKey: other } = await generateKeyPair("ES256");
  const good = await sign();
  const [head, body, signature] = good.split(".") as [string, string, string];
  const none = Buffer.from('{"alg":"none"}').toString("base64url");
  const forged = Buffer.from(body, "base64url").toString().replace("acme", "evil");
  const tokens: Record<string, string> = {
    "another subject": await sign({ sub: "repo:evil/game:main" }),
    "another audience": await sign({ aud: "https://other.example" }),
    "another issuer": await sign({ iss: "https://issuer.example" }),
    "another key": await sign({ key: other }),
    "a shared secret": await sign({ key: new Uint8Array(32), alg: "HS256" }),
    expired: await sign({ age: 600 }),
    "too old, however long it is good": await sign({ age: 7200, lifetime: 86_400 }),
    "from the future": await sign({ age: -600 }),
    "no signature": `${none}.${body}.`,
    "another body": `${head}.${Buffer.from(forged).toString("base64url")}.${signature}`,
    "half of it": good.slice(0, -20),
    nothing: "",
    "a Pogo token": "pogo_nothing",
  };
  for (const [what, token] of Object.entries(tokens)) {
    expect([what, await refusal(exchange(token))]).toEqual([what, "denied"]);
  }
  for (const repository of ["other", "absent", "../game", ""]) {
    expect(await refusal(exchange(good, repository))).toBe("denied");
  }
  expect(await refusal(exchange(good))).toBe("nothing");
});

test("a trust that would be too wide, or of an issuer of one's own, is refused", async () => {
  const trust = { name: "x", issuer, audience, subject: "s", scope: "read", readsSecrets: false };
  const set = (changed: object) =>
    refusal(
      ann.unary(Workloads.setTrust, { repository: "other", trust: { ...trust, ...changed } }),
    );
  expect(await set({ subject: "*" })).toBe("usage");
  expect(await set({ subject: "" })).toBe("usage");
  expect(await set({ scope: "admin" })).toBe("usage");
  expect(await set({ issuer: "http://169.254.169.254" })).toBe("denied");
  expect(await set({})).toBe("nothing");
});

test("a trust and a deploy token do not share a name, as they would share a user", async () => {
  const deploy = (name: string) => {
    const request = {
      repository: "other",
      name,
      scope: "write",
      expiresAt: 0,
      readsSecrets: false,
    };
    return refusal(ann.unary(Members.createDeployToken, request));
  };
  const trust = { issuer, audience, subject: "s", scope: "read", readsSecrets: false };
  const set = (name: string) => {
    const request = { repository: "other", trust: { name, ...trust } };
    return refusal(ann.unary(Workloads.setTrust, request));
  };
  expect([await deploy("a"), await set("a")]).toEqual(["nothing", "already-exists"]);
  expect([await set("b"), await deploy("b")]).toEqual(["nothing", "already-exists"]);
});

test("who is trusted no more is out at once; commands do all that", async () => {
  const { secret } = await exchange(await sign());
  await ann.unary(Secrets.setSecret, { repository: "game", name: "KEY", value: "of the gate" });
  using pogo = openPogo({ POGO_SERVER: server.server.url });
  const { secret: own } = await ann.unary(Auth.createToken, { name: "x", expiresAt: 0, user: "" });
  const asAnn = { environment: { POGO_TOKEN: own } };
  expect(await pogo.ok(["repo", "trusts", "game"], asAnn)).toContain("ci  read: repo:acme/game:*");
  const trust = ["repo", "trust", "game", "deploy", "--issuer", issuer, "--secrets"];
  await pogo.ok([...trust, "--subject", "repo:acme/tools:tag", "--audience", audience], asAnn);
  const tag = await sign({ sub: "repo:acme/tools:tag" });
  const printed = await pogo.ok(["token", "exchange", "game"], { stdin: `${tag}\n` });
  expect(printed).toMatch(/^pogo_[0-9A-Za-z]{44}\n$/);
  const get = ["secret", "get", "KEY", "--repository", "game"];
  const asBuild = (token: string) => pogo.run(get, { environment: { POGO_TOKEN: token } });
  expect(await asBuild(printed.trim())).toMatchObject({ stdout: "of the gate", exitCode: 0 });
  expect(await asBuild(secret)).toMatchObject({ stdout: "", exitCode: 6 });
  await pogo.ok(["repo", "untrust", "game", "ci"], asAnn);
  expect(await refusal(server.channel(secret).unary(Auth.getUser, {}))).toBe("denied");
  expect(await refusal(exchange(await sign()))).toBe("denied");
});
