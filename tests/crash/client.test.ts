/**
 * The client is killed at random moments of a push, a clone, an edit and a discard. The server
 * shows nothing half; the next command finishes or undoes what was begun; and a push that is run
 * again sends what had not arrived, and no more.
 *
 * POGO_TEST_KILLS says how many kills there are in all of tests/crash; POGO_TEST_SEED repeats a
 * run.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { openRemote, type Remote } from "#client/remote.ts";
import { openChannel } from "#rpc/channel.ts";
import {
  changeFiles,
  killCount,
  missingOf,
  readSnapshot,
  treeOf,
  verifyVersions,
  type RandomNumber,
  type Versions,
} from "../support/crash-world.ts";
import { engines, prepareDatabase, temporaryDirectory } from "../support/postgres.ts";
import { openPogo, type Pogo } from "../support/pogo.ts";
import { seededRandom } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

const kills = Math.ceil(killCount / 4);

type World = {
  pogo: Pogo;
  url: string;
  remote: Remote;
  path: string;
  random: RandomNumber;
  versions: Versions;
};

/** A command that is killed: what goes before, the command, and what must be true afterwards. */
type Trial = {
  prepare(): Promise<void>;
  command: { args: string[]; cwd: string };
  /** Told whether the command had ended by itself. */
  verify(hadEnded: boolean): Promise<void>;
};

// To the client either engine is the same: a short run kills it on one.
test.each(engines.slice(0, killCount < 20 ? 1 : 2))(
  "a client that is killed loses nothing, and is finished by its next command: %s",
  async (engine) => {
    const { seed, random } = seededRandom();
    console.log(`seed ${seed}`);
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const data = join(path, "data");
    const { databaseUrl } = closing.use(await prepareDatabase(engine, data));
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const server = closing.use(await startServing({ home: pogo.home, data, databaseUrl }));
    await pogo.ok(["init", join(path, "init"), "--server", server.url, "--name", "crash"]);
    const channel = openChannel({ url: server.url, token: rootToken });
    closing.defer(() => channel.close());
    const remote = openRemote(channel, "crash");
    const versions: Versions = new Map();
    const world: World = { pogo, url: server.url, remote, path, random, versions };

    const trials = [
      await pushTrial(world),
      await editTrial(world),
      await cloneTrial(world),
      await discardTrial(world),
    ];
    const typicalMs = new Map<Trial, number>();
    for (const trial of trials) {
      await trial.prepare();
      const startedMs = performance.now();
      await pogo.ok(trial.command.args, { cwd: trial.command.cwd });
      typicalMs.set(trial, performance.now() - startedMs);
      await trial.verify(true);
    }
    const start = Math.floor(random() * trials.length);
    for (let kill = 0; kill < kills; kill++) {
      const trial = trials[(start + kill) % trials.length]!;
      try {
        await trial.prepare();
        const { args, cwd } = trial.command;
        const child = pogo.start(args, { cwd });
        await Bun.sleep(typicalMs.get(trial)! * (0.3 + 0.8 * random()));
        child.kill("SIGKILL");
        await child.exited;
        world.versions = await verifyVersions(remote, world.versions);
        await trial.verify(child.exitCode === 0);
      } catch (cause) {
        throw new Error(`seed ${seed}, kill ${kill}: ${trial.command.args.join(" ")}`, { cause });
      }
    }
    await verifyVersions(remote, world.versions, true);
    expect(server.complaints()).toBe("");
  },
  120_000 + kills * 30_000,
);

async function pushTrial(world: World): Promise<Trial> {
  const { pogo, remote, random } = world;
  const cwd = await cloneEmpty(world, "pusher");
  let version = 0;
  return {
    async prepare() {
      changeFiles(cwd, random, version === 0 ? 40 : 12);
      version++;
    },
    command: { args: ["push", "--json"], cwd },
    async verify() {
      const missing = await missingOf(remote, cwd);
      const again = await push(pogo, cwd);
      // Of what had arrived some may have been stored since it was asked.
      expect(again.sent.objects).toBeLessThanOrEqual(missing.objects);
      expect(again.sent.bytes).toBeLessThanOrEqual(missing.bytes);
      const change = await remote.getChange(again.change);
      expect([change.tree.toHex(), change.currentVersion]).toEqual([treeOf(cwd), version]);
    },
  };
}

async function editTrial(world: World): Promise<Trial> {
  const { pogo, random } = world;
  const changes: string[] = [];
  const trees: string[] = [];
  const cwd = await cloneEmpty(world, "editor");
  for (let index = 0; index < 2; index++) {
    if (index > 0) await pogo.ok(["new"], { cwd });
    changeFiles(cwd, random, 40);
    changes.push((await push(pogo, cwd)).change);
    trees.push(treeOf(cwd));
  }
  const command = { args: ["edit", ""], cwd };
  let target = 1;
  return {
    async prepare() {
      target = 1 - target;
      command.args = ["edit", changes[target]!];
    },
    command,
    async verify() {
      // Whatever comes next brings the files to one of both, and publishes nothing.
      const next = await push(pogo, cwd);
      expect(changes).toContain(next.change);
      expect(treeOf(cwd)).toBe(trees[changes.indexOf(next.change)]!);
      await pogo.ok(["edit", changes[target]!], { cwd });
      expect(treeOf(cwd)).toBe(trees[target]!);
      expect(await pogo.json(["status"], { cwd })).toMatchObject({ clean: true });
    },
  };
}

async function cloneTrial(world: World): Promise<Trial> {
  const { pogo, remote, path, url } = world;
  const source = await remote.getChange("");
  const root = join(path, "clone");
  const args = ["clone", `${url}/crash`, root, "-r", `${source.name}@${source.version}`];
  return {
    async prepare() {
      rmSync(root, { recursive: true, force: true });
    },
    command: { args, cwd: path },
    async verify(hadEnded) {
      const isWhole = existsSync(join(root, ".pogo")) && !existsSync(join(root, ".pogo/incoming"));
      if (!hadEnded && !isWhole) {
        const { exitCode, stderr } = await pogo.run(args, { cwd: path });
        // It had only not been told yet that it was done.
        const isDone = exitCode === 4 && stderr.includes("is not empty");
        expect(exitCode === 0 || isDone, stderr).toBe(true);
      }
      expect(await pogo.json(["status"], { cwd: root })).toMatchObject({ clean: true });
      expect(treeOf(root)).toBe(source.tree.toHex());
    },
  };
}

async function discardTrial(world: World): Promise<Trial> {
  const { pogo, random, remote } = world;
  const cwd = await cloneEmpty(world, "discarder");
  changeFiles(cwd, random, 40);
  const base = (await remote.getChange((await push(pogo, cwd)).change)).tree.toHex();
  let edited: Uint8Array[] = [];
  return {
    async prepare() {
      const before = readSnapshot(cwd);
      changeFiles(cwd, random);
      const after = Object.entries(readSnapshot(cwd)) as [string, Uint8Array][];
      edited = after
        .filter(([file, bytes]) => !Bun.deepEquals(before[file], bytes))
        .map(([, bytes]) => bytes);
    },
    command: { args: ["discard"], cwd },
    async verify() {
      await pogo.ok(["discard"], { cwd });
      expect(treeOf(cwd)).toBe(base);
      expect(await pogo.json(["status"], { cwd })).toMatchObject({ clean: true });
      // What was thrown away is kept.
      const kept = new Set<string>();
      const discarded = join(cwd, ".pogo/discarded");
      for (const entry of readdirSync(discarded, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        kept.add(readFileSync(join(entry.parentPath, entry.name)).toString("latin1"));
      }
      for (const bytes of edited)
        expect(kept.has(Buffer.from(bytes).toString("latin1"))).toBe(true);
    },
  };
}

async function cloneEmpty({ pogo, url, path }: World, name: string): Promise<string> {
  const root = join(path, name);
  // The first one publishes what later ones would be on top of: each has files of its own only.
  await pogo.ok(["clone", `${url}/crash`, root]);
  return root;
}

type Pushed = {
  outcome: string;
  change: string;
  version: number;
  sent: { objects: number; bytes: number };
};

async function push(pogo: Pogo, cwd: string): Promise<Pushed> {
  return (await pogo.json(["push"], { cwd })) as Pushed;
}
