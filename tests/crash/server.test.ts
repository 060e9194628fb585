/**
 * The server is killed at random moments of pushes. What it acknowledged is there, whole; nothing
 * half is visible; and a push that is run again sends what had not arrived, and no more.
 *
 * POGO_TEST_KILLS says how many kills there are in all of tests/crash; POGO_TEST_SEED repeats a
 * run.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";

import { openRemote } from "#client/remote.ts";
import { openChannel } from "#rpc/channel.ts";
import {
  changeFiles,
  killCount,
  missingOf,
  rebind,
  treeOf,
  verifyVersions,
  type Versions,
} from "../support/crash-world.ts";
import { engines, prepareDatabase, temporaryDirectory } from "../support/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

const kills = Math.ceil(killCount / 4);
const unavailable = 7;

type Pushed = {
  change: string;
  version: number;
  sent: { objects: number; bytes: number; trees: number };
};

test.each(engines)(
  "a server that is killed during pushes loses nothing that it acknowledged: %s",
  async (engine) => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const data = join(path, "data");
    const { databaseUrl } = closing.use(await prepareDatabase(engine, data));
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const options = { home: pogo.home, data, databaseUrl };
    let server = await startServing(options);
    closing.defer(() => server.stop().then(() => {}));

    const copies = [join(path, "ann"), join(path, "bob")];
    await pogo.ok(["init", copies[0]!, "--server", server.url, "--name", "crash"]);
    await pogo.ok(["clone", `${server.url}/crash`, copies[1]!]);
    let typicalMs = 0;
    for (const root of copies) {
      changeFiles(root, random, 40);
      const startedMs = performance.now();
      await pogo.ok(["push"], { cwd: root });
      typicalMs = performance.now() - startedMs;
    }
    let versions: Versions = new Map();
    const check = async (again = false) => {
      const channel = openChannel({ url: server.url, token: rootToken });
      const remote = openRemote(channel, "crash");
      versions = await verifyVersions(remote, versions, again);
      return { remote, [Symbol.dispose]: () => channel.close() };
    };
    (await check())[Symbol.dispose]();

    for (let kill = 0; kill < kills; kill++) {
      const label = `seed ${seed}, kill ${kill}`;
      const pushes = copies.map((root) => {
        changeFiles(root, random);
        return pogo.run(["push", "--json"], { cwd: root });
      });
      await Bun.sleep(typicalMs * (0.2 + 1.2 * random()));
      await server.stop("SIGKILL");
      const outcomes = await Promise.all(pushes);
      for (const { exitCode, stderr } of outcomes) {
        expect([0, unavailable], `${label}: ${stderr}`).toContain(exitCode);
      }
      server = await startServing(options);
      for (const root of copies) rebind(root, server.url);
      using checked = await check();
      for (const [index, { exitCode, stdout }] of outcomes.entries()) {
        const root = copies[index]!;
        const missing = await missingOf(checked.remote, root);
        if (exitCode === 0) {
          const { change, version } = JSON.parse(stdout) as Pushed;
          expect(versions.get(`${change}@${version}`), label).toBe(treeOf(root));
        }
        const again = (await pogo.json(["push"], { cwd: root })) as Pushed;
        const { objects, bytes } = again.sent;
        expect({ objects, bytes }, label).toEqual(missing);
        // One version a round, however often it was tried.
        expect(again.version, label).toBe(kill + 2);
        const current = await checked.remote.getChange(again.change);
        expect(current.tree.toHex(), label).toBe(treeOf(root));
        expect(current.currentVersion, label).toBe(kill + 2);
      }
    }
    (await check(true))[Symbol.dispose]();
    expect(versions.size).toBe(2 * (kills + 1));
    expect(server.complaints()).toBe("");
  },
  120_000 + kills * 30_000,
);
