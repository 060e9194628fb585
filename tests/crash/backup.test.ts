/**
 * A backup, and then a restore, is killed at random moments. What was there before is whole,
 * nothing half is taken for whole or served, and running the command again is all that it takes.
 *
 * POGO_TEST_KILLS says how many kills there are in all of tests/crash; POGO_TEST_SEED repeats a
 * run.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { changeFiles, killCount, treeOf } from "../support/crash-world.ts";
import { createDatabase, engines, temporaryDirectory } from "../support/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

const kills = Math.ceil(killCount / 8);

// The embedded database takes seconds to start, each time.
test.each(engines.slice(0, killCount > 20 ? 2 : 1))(
  "backups and restores that are killed are done by running them again: %s",
  async (engine) => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const { home } = pogo;
    /** A place for a server's data, with nothing in it. */
    const place = async (name: string) => {
      const database = engine === "postgres" ? closing.use(await createDatabase()) : undefined;
      return { home, data: join(path, name), databaseUrl: database?.url };
    };
    /** Runs a command and kills it before it ends, more often than not. */
    const kill = async (args: string[], typicalMs: number) => {
      await using child = pogo.start(args);
      const timer = setTimeout(() => child.kill("SIGKILL"), random() * typicalMs);
      await child.exited;
      clearTimeout(timer);
    };
    const timed = async (args: string[]) => {
      const startedMs = performance.now();
      await pogo.ok(args);
      return performance.now() - startedMs;
    };

    const copy = join(path, "copy");
    const backup = join(path, "backup");
    const server = closing.use(await startServing(await place("source")));
    const arguments_ = ["backup", backup, "--keep", "3", "--server", server.url];
    await pogo.ok(["init", copy, "--server", server.url, "--name", "crash"]);
    const snapshots = async () =>
      ((await pogo.json(["backup", "--verify", backup])) as { snapshots: string[] }).snapshots;
    changeFiles(copy, random, 40);
    await pogo.ok(["push"], { cwd: copy });
    let typicalMs = await timed(arguments_);
    for (let count = 0; count < kills; count++) {
      const before = await snapshots();
      changeFiles(copy, random, 40);
      await pogo.ok(["push"], { cwd: copy });
      await kill(arguments_, typicalMs);
      expect(await snapshots()).toEqual(expect.arrayContaining(before.slice(-2)));
      await pogo.ok(arguments_);
      const after = await snapshots();
      expect([before.length + 1, before.length + 2, 3]).toContain(after.length);
      expect(after.length).toBeLessThanOrEqual(3);
      expect(before).not.toContain(after.at(-1));
    }

    typicalMs = 2000;
    for (let count = 0; count < kills; count++) {
      const target = await place(`restored-${count}`);
      const { data, databaseUrl } = target;
      const command = ["admin", "restore", backup, "--data", data];
      if (databaseUrl !== undefined) command.push("--database", databaseUrl);
      // The first is let live, to know how long it takes.
      if (count === 0) typicalMs = await timed(command);
      else await kill(command, typicalMs);
      if (existsSync(join(data, "restoring.json"))) {
        const served = startServing(target).then(() => "served", String);
        expect(await served).toContain(`a restore into ${data} was not finished`);
      }
      // Refused as there is something, if it was killed when all was done.
      expect([0, 4]).toContain((await pogo.run(command)).exitCode);
      await using restored = await startServing(target);
      await pogo.ok(["verify", "--full", restored.url]);
      const clone = join(path, `clone-${count}`);
      const { change } = (await pogo.json(["info"], { cwd: copy })) as { change: { name: string } };
      await pogo.ok(["clone", `${restored.url}/crash`, clone, "-r", change.name]);
      expect(treeOf(clone)).toBe(treeOf(copy));
    }
  },
  600_000,
);
