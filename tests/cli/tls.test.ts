/** A server whose certificate nobody vouches for, from the first login to the last. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { selfSign } from "#server/tls/self-signed.ts";
import { openPogo, program } from "../support/pogo.ts";
import { engines, startMs } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

setDefaultTimeout(startMs);

let running: TestServer;
let url: string;
let fingerprint: string;
beforeAll(async () => {
  running = await startTestServer(engines[0]!, { tls: "self-signed" });
  url = running.server.url;
  fingerprint = running.server.fingerprint!;
});
afterAll(() => running[Symbol.asyncDispose]());

const stdin = testRootToken;

test("login trusts a certificate by its fingerprint, and what comes later believes that one", async () => {
  using pogo = openPogo();
  const login = ["login", url, "--store", "file", "--token-stdin"];
  const unasked = await pogo.run(login, { stdin });
  expect(unasked.stderr).toContain("nobody vouches for the certificate");
  expect(unasked.stderr).toContain(`--fingerprint ${fingerprint}\n`);
  expect(unasked.exitCode).toBe(6);
  const wrong = await pogo.run([...login, "--fingerprint", `SHA256:${"0".repeat(64)}`], { stdin });
  expect(wrong.stderr).toContain(`has the fingerprint ${fingerprint}`);
  expect(wrong.exitCode).toBe(6);
  expect((await pogo.run(["whoami", url])).stderr).toContain("is not trusted: self signed");
  const spelled = fingerprint
    .replace("SHA256:", "")
    .toUpperCase()
    .replace(/..(?=.)/g, "$&:");
  await pogo.ok([...login, "--fingerprint", spelled], { stdin });
  expect(await pogo.json(["whoami", url])).toMatchObject({ user: "root" });
  await pogo.ok(login, { stdin });

  const servers = join(pogo.home, ".config/pogo/servers.json");
  const known = JSON.parse(readFileSync(servers, "utf8"));
  known[url].certificate = (await selfSign("127.0.0.1")).cert;
  writeFileSync(servers, JSON.stringify(known));
  const replaced = "is not the one that was trusted";
  const whoami = await pogo.run(["whoami", url]);
  expect(whoami.stderr).toContain(replaced);
  expect(whoami.exitCode).toBe(6);
  const again = await pogo.run(login, { stdin });
  expect(again.stderr).toContain(replaced);
  expect(again.exitCode).toBe(6);
});

test("SSL_CERT_FILE names more authorities", async () => {
  const file = join(running.dataDirectory, "tls/certificate.pem");
  const environment = { SSL_CERT_FILE: file, POGO_TOKEN: testRootToken };
  using pogo = openPogo(environment);
  expect(await pogo.json(["whoami", url])).toMatchObject({ user: "root" });
  const absent = await pogo.run(["whoami", url], { environment: { SSL_CERT_FILE: "/nothing" } });
  expect(absent.stderr).toContain("SSL_CERT_FILE names /nothing, which cannot be read");
  expect(absent.exitCode).toBe(2);
});

test("at a terminal the fingerprint is shown, and only yes trusts it", async () => {
  const login = async (answer: string) => {
    using pogo = openPogo();
    let screen = "";
    const answers = [
      { after: "(yes/no) ", text: `${answer}\r` },
      { after: `token for ${url}: `, text: `${testRootToken}\r` },
    ];
    await using child = Bun.spawn([...program, "login", url, "--store", "file"], {
      cwd: pogo.home,
      env: { ...pogo.environment, TERM: "xterm" },
      terminal: {
        cols: 200,
        rows: 24,
        data(terminal, bytes) {
          screen += new TextDecoder().decode(bytes);
          if (!answers[0] || !screen.includes(answers[0].after)) return;
          terminal.write(answers.shift()!.text);
        },
      },
    });
    const exitCode = await child.exited;
    child.terminal?.close();
    return { screen, exitCode };
  };
  const yes = await login("noo\x7f\x7f\x7fyes");
  expect(yes.screen).toContain(fingerprint);
  expect(yes.screen).toContain(`logged in to ${url} as root`);
  expect(yes.screen).not.toContain(testRootToken);
  expect(yes.exitCode).toBe(0);
  const no = await login("");
  expect(no.screen).not.toContain("token for");
  expect(no.exitCode).toBe(6);
});
