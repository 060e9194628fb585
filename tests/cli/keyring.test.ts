/** The system's keyring: a real Secret Service, for a user of the tests' own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openPogo, program } from "../support/pogo.ts";
import { engines } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

const found = Bun.which("gnome-keyring-daemon") && Bun.which("dbus-run-session");

describe.skipIf(!found)("a Secret Service", () => {
  let running: TestServer;
  beforeAll(async () => {
    running = await startTestServer(engines[0]!);
  }, 60_000);
  afterAll(() => running[Symbol.asyncDispose]());

  /** Runs a script on a session bus of its own, with an unlocked keyring. */
  async function onSessionBus(script: string, password: string) {
    using pogo = openPogo();
    const runtime = join(pogo.home, "runtime");
    mkdirSync(runtime, { mode: 0o700 });
    chmodSync(runtime, 0o700);
    const path = join(pogo.home, "pogo");
    writeFileSync(path, `#!/bin/sh\nexec ${program.map((word) => `'${word}'`).join(" ")} "$@"\n`);
    chmodSync(path, 0o700);
    const whole = `
      printf %s "$KEYRING_PASSWORD" |
        gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
      ${script}`;
    await using child = Bun.spawn(["dbus-run-session", "--", "bash", "-c", whole], {
      cwd: pogo.home,
      stdout: "pipe",
      stderr: "pipe",
      env: {
        ...pogo.environment,
        PATH: `${pogo.home}:${pogo.environment["PATH"]}`,
        XDG_RUNTIME_DIR: runtime,
        KEYRING_PASSWORD: password,
        SERVER: running.server.url,
        SECRET: testRootToken,
      },
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const files = Bun.spawnSync(["grep", "-rlF", testRootToken, pogo.home]).stdout.toString();
    return { stdout, stderr, files };
  }

  test("keeps the token from login to logout, and nothing else does", async () => {
    const { stdout, stderr, files } = await onSessionBus(
      `printf '%s\\n' "$SECRET" | pogo login "$SERVER" --token-stdin
       pogo whoami --json
       pogo logout
       pogo whoami "$SERVER" >/dev/null; echo "exit $?"`,
      "a password that ends in a newline\n",
    );
    const [login, whoami, logout, last] = stdout.split("\n");
    expect(stderr).toContain("pogo: error: ");
    expect(login).toBe(`logged in to ${running.server.url} as root`);
    expect(JSON.parse(whoami ?? "")).toMatchObject({ user: "root", source: "keyring" });
    expect(logout).toBe(`logged out of ${running.server.url}`);
    expect(last).toBe("exit 6");
    expect(files).toBe("");
  });

  test("that goes away is an error, and no other place is tried", async () => {
    const { stdout, stderr, files } = await onSessionBus(
      `printf %s "$SECRET" | pogo login "$SERVER" --token-stdin -q
       DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere pogo whoami; echo "exit $?"`,
      "password\n",
    );
    expect(stdout).toBe("exit 7\n");
    expect(stderr).toContain("pogo: error: the system's keyring does not answer\n");
    expect(files).toBe("");
  });
});
