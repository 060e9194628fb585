/** What a person at a terminal sees. */
import { afterAll, beforeAll, expect, test } from "bun:test";

import { openPogo, program } from "../support/pogo.ts";
import { engines } from "../support/postgres.ts";
import { startTestServer, testRootToken, type TestServer } from "../support/server.ts";

let running: TestServer;
beforeAll(async () => {
  running = await startTestServer(engines[0]!);
}, 60_000);
afterAll(() => running[Symbol.asyncDispose]());

/** Runs a command on a terminal of its own, and types once it has said something. */
async function atTerminal(args: string[], typed: { after: string; text: string }) {
  using pogo = openPogo();
  let screen = "";
  let isTyped = false;
  await using child = Bun.spawn([...program, ...args], {
    cwd: pogo.home,
    env: { ...pogo.environment, TERM: "xterm" },
    terminal: {
      cols: 80,
      rows: 24,
      data(terminal, bytes) {
        screen += new TextDecoder().decode(bytes);
        if (isTyped || !screen.includes(typed.after)) return;
        isTyped = true;
        terminal.write(typed.text);
      },
    },
  });
  const exitCode = await child.exited;
  child.terminal?.close();
  return { screen, exitCode, home: pogo.home };
}

test("login asks for the token and does not show it", async () => {
  const { url } = running.server;
  const { screen, exitCode } = await atTerminal(["login", url, "--store", "file"], {
    after: `token for ${url}: `,
    text: `x\x7f${testRootToken}\r`,
  });
  expect(screen).toContain(`logged in to ${url} as root`);
  expect(screen).not.toContain(testRootToken);
  expect(exitCode).toBe(0);
});

test("Ctrl-C at the question ends it, with nothing kept", async () => {
  const { url } = running.server;
  const { screen, exitCode } = await atTerminal(["login", url, "--store", "file"], {
    after: `token for ${url}: `,
    text: "half a tok\x03",
  });
  expect(screen).not.toContain("half");
  expect(screen).not.toContain("error");
  expect(exitCode).toBe(130);
});

test("errors are colored", async () => {
  const { screen, exitCode } = await atTerminal(["nonsense"], { after: "never", text: "" });
  expect(screen).toContain("pogo: \x1b[31merror:\x1b[39m unknown command");
  expect(exitCode).toBe(2);
});
