/**
 * 32 clients at once against one server process, on both engines. Each has a working copy, a
 * connection and a change of its own, pushes small edits, and reads what the others have pushed.
 * Four of them are spawned programs; the others are the client's library in this process.
 *
 * POGO_TEST_LOAD=full pushes 50 versions a client (`bun run test --load`), else it is 2, or 1 on
 * the embedded database, which is slow.
 */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { newDraft } from "#client/change.ts";
import { push } from "#client/push.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { createWorkspace } from "#client/workspace.ts";
import { hashKey, keyHash, toHex, type Hash } from "#core/hash.ts";
import { openChannel } from "#rpc/channel.ts";
import { engines, prepareDatabase, temporaryDirectory } from "../support/postgres.ts";
import { openPogo, type Pogo } from "../support/pogo.ts";
import { rootToken, startServing } from "../support/serving.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

const clientCount = 32;
const spawnedCount = 4;
const isFull = process.env["POGO_TEST_LOAD"] === "full";
const versionCounts = { postgres: isFull ? 50 : 2, embedded: isFull ? 50 : 1 };

type Client = {
  index: number;
  root: string;
  remote: Remote;
  /** Publishes what stands in the directory, and says the version that it became. */
  publish(): Promise<{ change: string; version: number }>;
};

/** What all clients know of each other. */
type Board = { versionCount: number; changes: (string | undefined)[]; acknowledged: number[] };

test.each(engines)(
  "32 clients push and read at once, and nothing is lost: %s",
  async (engine) => {
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const data = join(path, "data");
    const { databaseUrl } = closing.use(await prepareDatabase(engine, data));
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const options = { home: pogo.home, data, databaseUrl };
    const server = closing.use(await startServing(options));
    await pogo.ok(["init", join(path, "seed"), "--server", server.url, "--name", "load"]);
    const clients = Array.from({ length: clientCount }, (_, index) => {
      const parts = { index, root: join(path, `client-${index}`), url: server.url };
      const remote = connectTo(server.url, closing);
      return index < spawnedCount
        ? spawnedClient(parts, remote, pogo)
        : libraryClient(parts, remote, closing);
    });
    const versionCount = versionCounts[engine];
    const board: Board = { versionCount, changes: [], acknowledged: clients.map(() => 0) };

    await Promise.all(clients.map((client) => live(client, board)));

    expect(server.complaints()).toBe("");
    await Promise.all(clients.map((client) => verify(client, board)));
    const listed = new Set<string>();
    const query = { revisions: [], paths: [], limit: 1000 };
    for await (const { name } of clients[0]!.remote.listChanges(query)) listed.add(name);
    expect(listed).toEqual(new Set(board.changes.map(String)));
  },
  180_000 + versionCounts.postgres * 30_000,
);

function connectTo(url: string, closing: AsyncDisposableStack): Remote {
  const channel = openChannel({ url, token: rootToken });
  closing.defer(() => channel.close());
  return openRemote(channel, "load");
}

type Parts = { index: number; root: string; url: string };

function libraryClient(
  { index, root, url }: Parts,
  remote: Remote,
  closing: AsyncDisposableStack,
): Client {
  const binding = { server: url, repository: "load", caseSensitive: false };
  const workspace = closing.use(createWorkspace(root, binding, newDraft([])));
  return {
    index,
    root,
    remote,
    async publish() {
      using _ = await workspace.lock();
      const { change } = await push({ workspace, remote });
      return { change: change!.name, version: change!.version };
    },
  };
}

function spawnedClient({ index, root, url }: Parts, remote: Remote, pogo: Pogo): Client {
  // Bound in the same way as by the library: init would create a repository of its own.
  const binding = { server: url, repository: "load", caseSensitive: false };
  createWorkspace(root, binding, newDraft([]))[Symbol.dispose]();
  return {
    index,
    root,
    remote,
    async publish() {
      const answer = await pogo.json(["push"], { cwd: root });
      return answer as { change: string; version: number };
    },
  };
}

/** The files of a client's version: some all its own, some the same at every client. */
function filesOf(index: number, version: number): Snapshot {
  const files: Snapshot = { "counter.txt": `client ${index} version ${version}\n` };
  for (let number = 1; number <= version; number++) {
    files[`shared/${number % 7}.txt`] = `everybody's ${number}\n`;
    files[`own/d${number % 3}/f${number % 5}`] = `client ${index} wrote ${number}\n`;
  }
  return files;
}

const treeOf = (index: number, version: number) => new MemoryStore().add(filesOf(index, version));

async function live(client: Client, board: Board): Promise<void> {
  const { index, root, publish, remote } = client;
  for (let version = 1; version <= board.versionCount; version++) {
    for (const [path, text] of Object.entries(filesOf(index, version))) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      writeFileSync(join(root, path), text as string);
    }
    const made = await publish();
    expect(made.version).toBe(version);
    board.changes[index] ??= made.change;
    board.acknowledged[index] = version;
    await remote.setBookmark(`of-${index}`, made.change);
    await remote.deleteBookmark(`of-${index}`);
    await readNeighbour(client, board, (index + version * 5) % clientCount);
  }
}

/** Another's change is at least where it was acknowledged to be, and whole. */
async function readNeighbour({ remote }: Client, board: Board, other: number): Promise<void> {
  const name = board.changes[other];
  if (name === undefined) return;
  const known = board.acknowledged[other]!;
  const change = await remote.getChange(name);
  expect(change.version).toBeGreaterThanOrEqual(known);
  expect(toHex(change.tree)).toBe(toHex(treeOf(other, change.version)));
  const trees = await Array.fromAsync(remote.getTrees(change.tree, undefined));
  const store = new MemoryStore();
  store.add(filesOf(other, change.version));
  const expected = [...store.trees].filter(([, entries]) => entries.length > 0);
  expect(new Set(trees.map(({ hash }) => toHex(hash)))).toEqual(
    new Set(expected.map(([key]) => toHex(keyHash(key)))),
  );
}

/** All versions are there, with their trees and their objects. */
async function verify({ index, remote }: Client, board: Board): Promise<void> {
  const objects = new Map<string, Hash>();
  const { versionCount } = board;
  for (let version = 1; version <= versionCount; version++) {
    const change = await remote.getChange(`${board.changes[index]}@${version}`);
    const store = new MemoryStore();
    expect(toHex(change.tree)).toBe(toHex(store.add(filesOf(index, version))));
    expect(change.currentVersion).toBe(versionCount);
    for (const entry of store.list(change.tree).values()) {
      if (entry.kind === "file") objects.set(hashKey(entry.hash), entry.hash);
    }
  }
  // Each arrives, in turn, or the stream fails.
  for await (const _ of remote.getObjects([...objects.values()]));
}
