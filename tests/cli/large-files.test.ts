/** A large file goes over the wire once, and afterwards what differs, whoever is killed. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openRemote, type Remote } from "#client/remote.ts";
import { chunkLength } from "#core/chunk.ts";
import { sha256 } from "#core/hash.ts";
import { openChannel } from "#rpc/channel.ts";
import { openCable } from "../../scripts/cable.ts";
import { openPogo } from "../support/pogo.ts";
import { engines, prepareDatabase, startMs } from "../support/postgres.ts";
import { randomBytes } from "../support/random.ts";
import { rootToken, startServing } from "../support/serving.ts";

setDefaultTimeout(startMs);

const mib = 1024 * 1024;
const size = 32 * mib;
// No more than a chunk, which is at most 4 MiB, and what is cut from chunks at the ends of an edit.
const lostBytesMax = 6 * mib;
const editBytesMax = 6 * mib;

test("a push and a pull of a large file that are killed go on where they were", async () => {
  await using closing = new AsyncDisposableStack();
  const pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
  const { home } = pogo;
  const data = join(home, "data");
  const { databaseUrl } = closing.use(await prepareDatabase(engines[0]!, data));
  const server = closing.use(await startServing({ home, data, databaseUrl }));
  const cable = closing.use(await openCable(portOf(server.url)));
  const cwd = join(home, "work");
  await pogo.ok(["init", cwd, "--server", cable.url, "--name", "large"]);
  const contents = randomBytes(1, size);
  writeFileSync(join(cwd, "large"), contents);
  const channel = openChannel({ url: server.url, token: rootToken });
  closing.defer(() => channel.close());
  const remote = openRemote(channel, "large");

  /** Bytes that a command takes. */
  async function carried(args: string[], at: string): Promise<number> {
    const before = cable.carried();
    await pogo.ok(args, { cwd: at });
    return cable.carried() - before;
  }

  /** Kills a command after so many bytes, once everything on its way has arrived. */
  async function kill(args: string[], at: string, bytes: number, hasArrived: () => boolean) {
    const held = cable.holdAfter(bytes);
    await using child = pogo.start(args, { cwd: at });
    await held;
    while (!hasArrived()) await Bun.sleep(10);
    child.kill("SIGKILL");
    await child.exited;
    cable.mend();
  }

  const url = `${cable.url}/large`;
  const copy = join(home, "copy");
  const expectCopied = () => {
    expect(readFileSync(join(copy, "large")).equals(contents)).toBe(true);
  };

  await kill(["push"], cwd, size * 0.7, () => true);
  // The server stores what it has received, a moment longer than the client lives.
  while ((await missingBytes(remote, contents)) > size * 0.3 + lostBytesMax) await Bun.sleep(10);
  expect(await carried(["push"], cwd)).toBeLessThan(size * 0.3 + lostBytesMax);

  await kill(["clone", url, "copy"], home, size * 0.7, () => {
    return partialBytes(copy) > size * 0.7 - lostBytesMax;
  });
  expect(await carried(["clone", url, "copy"], home)).toBeLessThan(size * 0.3 + lostBytesMax);
  expectCopied();

  contents.set(randomBytes(2, size / 2), size / 4);
  writeFileSync(join(cwd, "large"), contents);
  const { change } = (await pogo.json(["push"], { cwd })) as { change: string };
  await kill(["edit", change], copy, size * 0.4, () => {
    return partialBytes(copy) > size * 0.9 - lostBytesMax;
  });
  expect(await carried(["edit", change], copy)).toBeLessThan(size * 0.1 + lostBytesMax);
  expectCopied();

  contents.set(randomBytes(3, mib), size / 2);
  writeFileSync(join(cwd, "large"), contents);
  expect(await carried(["push"], cwd)).toBeLessThan(editBytesMax);
  expect(await carried(["edit", change], copy)).toBeLessThan(editBytesMax);
  expectCopied();
});

/** What is written of the file that is being fetched, which may have holes. */
function partialBytes(root: string): number {
  const directory = join(root, ".pogo/partial");
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return names.reduce((sum, name) => sum + statSync(join(directory, name)).blocks * 512, 0);
}

async function missingBytes(remote: Remote, contents: Uint8Array): Promise<number> {
  const chunks: Uint8Array[] = [];
  for (let rest = contents; rest.length > 0;) {
    chunks.push(rest.subarray(0, chunkLength(rest)));
    rest = rest.subarray(chunkLength(rest));
  }
  const missing = await remote.findMissing(chunks.map(sha256), []);
  return missing.objects.reduce((sum, index) => sum + chunks[index]!.length, 0);
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
