/** The server is killed while it starts, for the first time and again; see server.test.ts. */
import { expect, test } from "bun:test";
import { join } from "node:path";

import { killCount } from "../support/crash-world.ts";
import { createDatabase, engines, temporaryDirectory } from "../support/postgres.ts";
import { openPogo, program, userEnvironment } from "../support/pogo.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

const kills = Math.ceil(killCount / 20);

test.each(engines)(
  "a server that is killed while it starts can be started: %s",
  async (engine) => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const { home } = pogo;
    const serving = (data: string, databaseUrl: string | undefined) => {
      return startServing({ home, data: join(path, data), databaseUrl });
    };
    const newDatabase = async () => {
      return engine === "postgres" ? closing.use(await createDatabase()).url : undefined;
    };
    const startedMs = performance.now();
    await (await serving("typical", await newDatabase())).stop("SIGKILL");
    const typicalMs = performance.now() - startedMs;

    for (let kill = 0; kill < kills; kill++) {
      const data = `data-${kill}`;
      const databaseUrl = await newDatabase();
      // The first start makes everything, the second finds what is half made.
      for (const _ of [1, 2]) {
        const options = ["--data", join(path, data), "--listen", "127.0.0.1:0"];
        if (databaseUrl !== undefined) options.push("--database", databaseUrl);
        const child = Bun.spawn([...program, "serve", ...options], {
          cwd: home,
          stdio: ["ignore", "ignore", "ignore"],
          env: { ...userEnvironment(home), POGO_ROOT_TOKEN: rootToken },
        });
        await Bun.sleep(typicalMs * random() * 1.1);
        child.kill("SIGKILL");
        await child.exited;
      }
      await using server = await serving(data, databaseUrl);
      const name = `started-${kill}`;
      const outcome = await pogo.run([
        "init",
        join(path, name),
        "--server",
        server.url,
        "--name",
        name,
      ]);
      expect([outcome.exitCode, outcome.stderr], `seed ${seed}, kill ${kill}`).toEqual([0, ""]);
      expect(server.complaints()).toBe("");
    }
  },
  120_000 + kills * 60_000,
);
