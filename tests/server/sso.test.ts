/** Logging in by OpenID Connect, with a real provider. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { GroupServiceService as Groups } from "#gen/pogo/v1/group.ts";
import { UserServiceService as Users } from "#gen/pogo/v1/user.ts";
import { readSsoOptions } from "#server/sso/options.ts";
import { startIdentityProvider, type IdentityProvider } from "../support/identity-provider.ts";
import { openPogo } from "../support/pogo.ts";
import { startMs, temporaryDirectory } from "../support/postgres.ts";
import { refusal } from "../support/refusal.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

const people = {
  "subject-1": { name: "ann", groups: ["/artists"] },
  "subject-2": { name: "bob", groups: [] },
  "subject-3": { name: "root", groups: [] },
  "subject-4": { name: "not a name", groups: [] },
};

let provider: IdentityProvider;
let server: TestServer;
beforeAll(async () => {
  provider = await startIdentityProvider(people);
  server = await startTestServer("embedded", { sso: provider.options });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

const nobody = () => server.channel();
const start = () => nobody().unary(Users.startSso, {});
let tokens = 0;
const finish = (handle: string) => {
  return nobody().unary(Users.finishSso, { handle, tokenName: `token ${++tokens}` });
};

async function logIn(who: string, answer?: "yes" | "no") {
  const { handle, verificationUriComplete } = await start();
  await provider.confirm(verificationUriComplete, who, answer);
  return await finish(handle);
}

test("a login is pending until somebody confirms it, and gives one token", async () => {
  const { handle, userCode, verificationUri, verificationUriComplete } = await start();
  expect(verificationUri).toStartWith(provider.issuer);
  expect(verificationUriComplete).toContain(userCode);
  expect(await finish(handle)).toMatchObject({ pending: true, secret: "" });
  await provider.confirm(verificationUriComplete, "subject-1");
  const { pending, user, secret, token } = await finish(handle);
  expect([pending, user]).toEqual([false, "ann"]);
  expect(token!.expiresAt).toBeGreaterThan(Date.now());
  expect(await server.channel(secret).unary(Auth.getUser, {})).toMatchObject({ name: "ann" });
  expect(await refusal(finish(handle))).toBe("denied");
  const root = server.channel(testRootToken);
  const { groups } = await root.unary(Groups.listGroups, { after: "" });
  expect(groups).toMatchObject([{ name: "artists", members: ["ann"] }]);
});

test("a name that is somebody else's here, or none, is denied; a person stays the same", async () => {
  expect(await refusal(logIn("subject-3"))).toBe("denied");
  expect(await refusal(logIn("subject-4"))).toBe("usage");
  expect((await logIn("subject-2")).user).toBe("bob");
  people["subject-2"].name = "ann";
  expect((await logIn("subject-2")).user).toBe("bob");
});

test("a login that is refused there, or that nobody began, is denied", async () => {
  expect(await refusal(logIn("subject-1", "no"))).toBe("denied");
  expect(await refusal(finish("pogo_nothing"))).toBe("denied");
  expect(await refusal(finish(""))).toBe("denied");
});

test("pogo login --sso says where to confirm, and waits", async () => {
  using pogo = openPogo();
  await using child = pogo.start(["login", server.server.url, "--sso", "--store", "file"]);
  let said = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    const address = /open (\S+) and confirm the code/.exec(said)?.[1];
    if (address === undefined) continue;
    await provider.confirm(address, "subject-1");
    break;
  }
  expect(await child.exited).toBe(0);
  expect(await pogo.json(["whoami"])).toMatchObject({ user: "ann" });
});

test("a file that names no safe provider is refused", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "oidc.json");
  const read = (value: object) => {
    writeFileSync(path, JSON.stringify(value));
    return () => readSsoOptions(path);
  };
  expect(read({ issuer: "http://idp.example", clientId: "x" })).toThrow("not an https address");
  expect(read({ issuer: "https://idp.example" })).toThrow('"clientId"');
  expect(read({ issuer: "https://idp.example", clientId: "x", tokenDays: 0 })).toThrow("tokenDays");
  expect(read({ issuer: "https://idp.example", clientId: "x" })()).toMatchObject({ tokenDays: 7 });
});
