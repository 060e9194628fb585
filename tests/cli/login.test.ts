import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openPogo } from "../support/pogo.ts";
import { engines } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

let running: TestServer;
let url: string;
beforeAll(async () => {
  running = await startTestServer(engines[0]!);
  ({ url } = running.server);
}, 60_000);
afterAll(() => running[Symbol.asyncDispose]());

const withRoot = { environment: { POGO_TOKEN: testRootToken } };

test("a token that the server accepts is kept in a file if that is asked for", async () => {
  using pogo = openPogo();
  const login = ["login", url, "--store", "file", "--token-stdin"];
  const tokens = join(pogo.home, ".config/pogo/tokens.json");
  expect(await pogo.run(login, { stdin: `${testRootToken}\n` })).toEqual({
    stdout: `logged in to ${url} as root; the token is in ${tokens}, not encrypted\n`,
    stderr: "",
    exitCode: 0,
  });
  expect(statSync(tokens).mode & 0o777).toBe(0o600);
  expect(statSync(join(tokens, "..")).mode & 0o777).toBe(0o700);
  expect(readFileSync(join(pogo.home, ".config/pogo/servers.json"), "utf8")).not.toContain(
    testRootToken,
  );
  expect(await pogo.json(["whoami"])).toMatchObject({
    user: "root",
    server: url,
    source: "file",
  });
  for (const said of [await pogo.ok(["whoami"]), await pogo.ok(["whoami", "--json"])]) {
    expect(said).not.toContain(testRootToken);
  }

  chmodSync(tokens, 0o644);
  const exposed = await pogo.run(["whoami"]);
  expect(exposed.stderr).toContain(`hint: chmod 600 ${tokens}`);
  expect(exposed.exitCode).toBe(6);
  chmodSync(tokens, 0o600);

  expect(await pogo.ok(["logout"])).toBe(`logged out of ${url}\n`);
  expect(readFileSync(tokens, "utf8")).not.toContain(testRootToken);
  expect(await pogo.run(["logout", url])).toMatchObject({ exitCode: 3 });
  expect(await pogo.run(["whoami", url])).toMatchObject({ exitCode: 6 });
});

test("a token that the server refuses is not kept", async () => {
  using pogo = openPogo();
  const login = ["login", url, "--store", "file", "--token-stdin"];
  const { stderr, exitCode } = await pogo.run(login, { stdin: "wrong-token" });
  expect(exitCode).toBe(6);
  expect(stderr).not.toContain("wrong-token");
  expect(await pogo.run(["whoami", url])).toMatchObject({ exitCode: 6 });
  expect(await pogo.run(login, { stdin: "two words" })).toMatchObject({ exitCode: 2 });
});

test("without a keyring nothing is kept anywhere, and the error says what to do", async () => {
  using pogo = openPogo();
  const { stderr, exitCode } = await pogo.run(["login", url, "--token-stdin"], {
    stdin: testRootToken,
  });
  expect(stderr).toBe(
    "pogo: error: the system's keyring does not answer\n" +
      "pogo: hint: set POGO_TOKEN, or keep the token in a file: pogo login --store file\n",
  );
  expect(exitCode).toBe(7);
  const { stdout } = Bun.spawnSync(["find", pogo.home, "-type", "f"]);
  expect(stdout.toString()).toBe("");
});

test("without a terminal or --token-stdin the token is not asked for", async () => {
  using pogo = openPogo();
  const { stderr, exitCode } = await pogo.run(["login", url]);
  expect(stderr).toEndWith(`pogo: hint: pogo login ${url} --token-stdin\n`);
  expect(exitCode).toBe(2);
});

test("POGO_TOKEN goes before what is kept, and only to the server that POGO_SERVER names", async () => {
  using pogo = openPogo();
  expect(await pogo.json(["whoami", url], withRoot)).toMatchObject({ source: "environment" });
  const elsewhere = { POGO_TOKEN: testRootToken, POGO_SERVER: "https://other.example" };
  expect(await pogo.run(["whoami", url], { environment: elsewhere })).toMatchObject({
    exitCode: 6,
  });
  const here = { POGO_TOKEN: testRootToken, POGO_SERVER: `${url}/` };
  expect(await pogo.json(["whoami"], { environment: here })).toMatchObject({ server: url });
});

test("tokens are created for others, listed without their text, and revoked", async () => {
  using pogo = openPogo();
  const create = ["token", "create", "first", "--user", "ann", "--days", "2", "--server", url];
  const created = await pogo.run(create, withRoot);
  const secret = created.stdout.trim();
  expect(created.stderr).toContain("this is the only time that it is shown");
  const asAnn = { environment: { POGO_TOKEN: secret, POGO_SERVER: url } };
  expect(await pogo.json(["whoami"], asAnn)).toMatchObject({ user: "ann" });
  const second = (await pogo.json(["token", "create", "second"], asAnn)) as { token: string };
  const listed = (await pogo.json(["token", "list"], asAnn)) as { name: string }[];
  expect(listed.map(({ name }) => name)).toEqual(["first", "second"]);
  expect(await pogo.ok(["token", "list"], asAnn)).not.toContain(second.token);
  expect(await pogo.ok(["token", "revoke", "second"], asAnn)).toBe("revoked second\n");
  const revoked = { environment: { POGO_TOKEN: second.token } };
  expect(await pogo.run(["whoami", url], revoked)).toMatchObject({ exitCode: 6 });
  expect(await pogo.run(["token", "create", "x", "--user", "bob"], asAnn)).toMatchObject({
    exitCode: 6,
  });
});

test("plain http to another machine needs a word, which is remembered", async () => {
  using pogo = openPogo();
  const refused = await pogo.run(["whoami", "http://pogo.invalid"], withRoot);
  expect(refused.stderr).toContain("pogo: error: http://pogo.invalid is not encrypted");
  expect(refused.exitCode).toBe(6);
  const allowed = { environment: { POGO_INSECURE_HTTP: "1", ...withRoot.environment } };
  expect(await pogo.run(["whoami", "http://pogo.invalid"], allowed)).toMatchObject({
    exitCode: 7,
  });
});

test("a damaged configuration is reported, not replaced", async () => {
  using pogo = openPogo();
  await pogo.ok(["login", url, "--store", "file", "--token-stdin"], { stdin: testRootToken });
  const file = join(pogo.home, ".config/pogo/servers.json");
  writeFileSync(file, '{"half');
  const { stderr, exitCode } = await pogo.run(["whoami", url]);
  expect(stderr).toContain(`${file} is not a JSON object`);
  expect(exitCode).toBe(8);
  expect(readFileSync(file, "utf8")).toBe('{"half');
});
