/** PostgreSQL crashes under load: calls are told so, and the server goes on when it is back. */
import { expect, test } from "bun:test";
import { join } from "node:path";

import { newDraft } from "#client/change.ts";
import { push } from "#client/push.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { createWorkspace, type Workspace } from "#client/workspace.ts";
import { isPogoError } from "#core/errors.ts";
import { openChannel } from "#rpc/channel.ts";
import { postgresPrograms, startPostgres } from "../../scripts/postgres.ts";
import { changeFiles, treeOf, verifyVersions, type RandomNumber } from "../support/crash-world.ts";
import { openPogo } from "../support/pogo.ts";
import { temporaryDirectory } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

const clientCount = 4;

test.skipIf(!postgresPrograms())(
  "a crash of PostgreSQL is an unavailable server, which recovers by itself",
  async () => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    // What was acknowledged must survive: a careless cluster may forget it.
    const cluster = closing.use(await startPostgres({ durable: true }));
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const databaseUrl = await cluster.createDatabase("pogo");
    const server = closing.use(
      await startServing({ home: pogo.home, data: join(path, "data"), databaseUrl }),
    );
    await pogo.ok(["init", join(path, "init"), "--server", server.url, "--name", "crash"]);
    const clients = Array.from({ length: clientCount }, (_, index) => {
      const channel = openChannel({ url: server.url, token: rootToken });
      closing.defer(() => channel.close());
      const binding = { server: server.url, repository: "crash", caseSensitive: false };
      const root = join(path, `client-${index}`);
      const workspace = closing.use(createWorkspace(root, binding, newDraft([])));
      return pusher({ workspace, remote: openRemote(channel, "crash"), random });
    });

    for (const crash of [1, 2]) {
      const working = clients.map((client) => client.pushUntilRefused());
      await Promise.all(clients.map((client) => client.pushed(crash)));
      await Bun.sleep(random() * 100);
      await cluster.crash();
      expect(await Promise.all(working)).toEqual(clients.map(() => "unavailable"));
      expect((await fetch(`${server.url}/healthz`)).status).toBe(503);
      const { exitCode, stderr } = await pogo.run(["clone", `${server.url}/crash`, "x"]);
      expect([exitCode, stderr]).toEqual([7, expect.stringContaining("the database does not")]);
      await cluster.start();
      for (const client of clients) await client.pushOnce();
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    }
    for (const { acknowledged, root, remote, change } of clients) {
      const versions = await verifyVersions(remote);
      for (const [id, tree] of acknowledged) expect([id, versions.get(id)]).toEqual([id, tree]);
      expect((await remote.getChange(change())).tree.toHex()).toBe(treeOf(root));
    }
    expect(server.complaints()).toBe("");
  },
  180_000,
);

function pusher(parts: { workspace: Workspace; remote: Remote; random: RandomNumber }) {
  const { workspace, remote, random } = parts;
  const { root } = workspace;
  const acknowledged = new Map<string, string>();
  const waiting: { count: number; resolve: () => void }[] = [];
  let sinceCrash = 0;

  async function pushOnce(): Promise<void> {
    changeFiles(root, random, 3);
    const { change } = await push({ workspace, remote });
    acknowledged.set(`${change!.name}@${change!.version}`, treeOf(root));
    sinceCrash++;
    for (const { count, resolve } of waiting) if (sinceCrash >= count) resolve();
  }

  async function pushUntilRefused(): Promise<string> {
    for (;;) {
      try {
        await pushOnce();
      } catch (error) {
        sinceCrash = 0;
        if (isPogoError(error)) return error.code;
        throw error;
      }
    }
  }

  return {
    root,
    remote,
    acknowledged,
    change: () => workspace.state.current.name,
    pushOnce,
    pushUntilRefused,
    /** Resolves when so many pushes have got through. */
    pushed: (count: number) => new Promise<void>((resolve) => waiting.push({ count, resolve })),
  };
}
