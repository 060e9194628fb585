/**
 * Many clients at once bring their changes into one bookmark, on both engines. Nobody is told to
 * come again, and every change is in the bookmark's history once.
 *
 * With POGO_TEST_LOAD=full a hundred clients land 10 changes each (`bun run test --load`), else 20
 * land one.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";

import { syncBookmark } from "#client/merge.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { toHex } from "#core/hash.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { openChannel } from "#rpc/channel.ts";
import { engines, prepareDatabase, temporaryDirectory } from "../support/postgres.ts";
import { openPogo } from "../support/pogo.ts";
import { publish } from "../support/publish.ts";
import { rootToken, startServing } from "../support/serving.ts";
import { MemoryStore, type Snapshot } from "../support/snapshot.ts";

const isFull = process.env["POGO_TEST_LOAD"] === "full";
const clientCount = isFull ? 100 : 20;
const landCount = isFull ? 10 : 1;

test.each(engines)(
  `${clientCount} clients sync one bookmark at once, and every change lands once: %s`,
  async (engine) => {
    await using closing = new AsyncDisposableStack();
    const { path } = closing.use(temporaryDirectory());
    const data = join(path, "data");
    const { databaseUrl } = closing.use(await prepareDatabase(engine, data));
    const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    const options = { home: pogo.home, data, databaseUrl };
    const server = closing.use(await startServing(options));
    const remotes = Array.from({ length: clientCount }, () => {
      const channel = openChannel({ url: server.url, token: rootToken });
      closing.defer(() => channel.close());
      return openRemote(channel, "race");
    });
    const [first] = remotes;
    await first!.createRepository({ public: false, caseSensitive: false });
    const seed: Snapshot = {};
    for (let index = 0; index < clientCount; index++) seed[fileOf(index)] = "start\n";
    const start = (await publish(first!, seed, { description: "start" })).change!;
    await first!.setBookmark("main", start.name);

    const started = performance.now();
    const landed = await Promise.all(remotes.map((remote, index) => land(remote, index, start)));
    const seconds = (performance.now() - started) / 1000;
    const count = clientCount * landCount;
    console.log(`${engine}: ${(count / seconds).toFixed(0)} lands a second (${count})`);

    expect(server.complaints()).toBe("");
    const main = await first!.getChange("main");
    const expected: Snapshot = {};
    for (let index = 0; index < clientCount; index++) {
      expected[fileOf(index)] = textOf(index, landCount);
    }
    expect(toHex(main.tree)).toBe(toHex(new MemoryStore().add(expected)));
    const history: string[] = [];
    const query = { revisions: [main.name], paths: [], limit: 3 * count + 10 };
    for await (const { name } of first!.listChanges(query)) history.push(name);
    expect(new Set(history).size).toBe(history.length);
    for (const name of landed.flat()) expect(history).toContain(name);
  },
  120_000 + landCount * 60_000,
);

const fileOf = (index: number) => `d${index % 10}/f${index}`;
const textOf = (index: number, round: number) => `client ${index} landed ${round}\n`;

/** Publishes changes on top of what it knows of the bookmark, and syncs each. */
async function land(remote: Remote, index: number, start: Change): Promise<string[]> {
  const names: string[] = [];
  let on = start;
  const known: Snapshot = {};
  for (let other = 0; other < clientCount; other++) known[fileOf(other)] = "start\n";
  for (let round = 1; round <= landCount; round++) {
    // Its own snapshot: what others landed since comes in by the merge.
    known[fileOf(index)] = textOf(index, round);
    const parents = [{ change: on.name, version: on.version, description: "", prefix: "" }];
    const pushed = (await publish(remote, known, { parents, description: `${index}` })).change!;
    const { outcome } = await syncBookmark(remote, "main", pushed.name, "");
    expect(["merged", "fast-forwarded"]).toContain(outcome);
    names.push(pushed.name);
    // The next one is made on top of this one, as if its author had not looked around.
    on = pushed;
  }
  return names;
}
