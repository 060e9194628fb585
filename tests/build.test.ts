/** The executable, as people get it. */
import { beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { version } from "#core/version.ts";
import { buildForThisMachine } from "../scripts/build.ts";
import { openPogo, userEnvironment } from "./support/pogo.ts";

let executable: string;
beforeAll(async () => {
  executable = resolve(process.env["POGO_TEST_PROGRAM"] ?? (await buildForThisMachine()));
}, 120_000);

test("the executable obeys no file of the directory that it stands in", async () => {
  using pogo = openPogo();
  const planted = join(pogo.home, "planted");
  mkdirSync(planted);
  const trap = join(planted, "trap.ts");
  writeFileSync(trap, 'console.log("TRAPPED"); process.exit(99);\n');
  writeFileSync(
    join(planted, "bunfig.toml"),
    `preload = ["${trap}"]\n[test]\npreload = ["./trap.ts"]\n`,
  );
  writeFileSync(join(planted, ".env"), "POGO_TOKEN=two words\nNO_COLOR=1\n");
  writeFileSync(join(planted, "tsconfig.json"), '{ "extends": "./trap.ts" }');
  const json = { name: "trap", imports: { "#cli/*": trap, "#*": trap }, type: "commonjs" };
  writeFileSync(join(planted, "package.json"), JSON.stringify(json));
  mkdirSync(join(planted, "node_modules/citty"), { recursive: true });
  writeFileSync(join(planted, "node_modules/citty/index.js"), 'throw new Error("TRAPPED")');
  for (const args of [["--version"], ["whoami", "http://127.0.0.1:1"], ["status"]]) {
    const child = Bun.spawnSync([executable, ...args], {
      cwd: planted,
      env: userEnvironment(pogo.home),
    });
    const said = child.stdout.toString() + child.stderr.toString();
    expect(said).not.toContain("TRAPPED");
    // What POGO_TOKEN would be from .env is no token, and would be refused as such.
    expect(said).not.toContain("this is not a token");
    expect(child.exitCode).not.toBe(99);
  }
});

test("it knows its version", () => {
  const { stdout } = Bun.spawnSync([executable, "--version"]);
  expect(stdout.toString()).toBe(`pogo ${version}\n`);
});

test("it is no Bun: a script that it is given is an unknown command", () => {
  using pogo = openPogo();
  const script = join(pogo.home, "script.ts");
  writeFileSync(script, 'console.log("TRAPPED")');
  const { stdout, stderr, exitCode } = Bun.spawnSync([executable, script], {
    env: userEnvironment(pogo.home),
  });
  expect(stdout.toString()).toBe("");
  expect(stderr.toString()).toContain("unknown command");
  expect(exitCode).toBe(2);
});

test("it serves on its embedded database, and every command can be loaded", async () => {
  using pogo = openPogo();
  const env = userEnvironment(pogo.home);
  await using server = Bun.spawn(
    [executable, "serve", "--data", join(pogo.home, "data"), "--listen", "127.0.0.1:0", "--json"],
    { env, cwd: pogo.home, stdout: "pipe" },
  );
  let text = "";
  for await (const bytes of server.stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.includes('"url"')) break;
  }
  const [root, listening] = text.trim().split("\n");
  const { rootToken } = JSON.parse(root ?? "");
  const { url } = JSON.parse(listening ?? "");
  const whoami = Bun.spawnSync([executable, "whoami", url, "--json"], {
    env: { ...env, POGO_TOKEN: rootToken },
  });
  expect(JSON.parse(whoami.stdout.toString())).toMatchObject({ user: "root" });
  server.kill("SIGTERM");
  expect(await server.exited).toBe(0);
  const help = Bun.spawnSync([executable, "--help"], { env });
  expect(help.stdout.toString()).toContain("usage: pogo");
  expect(help.exitCode).toBe(0);
}, 60_000);
