/** The connection breaks in the middle of a push or a clone; see server.test.ts for the seed. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { openRemote } from "#client/remote.ts";
import { openChannel } from "#rpc/channel.ts";
import { openCable } from "../../scripts/cable.ts";
import { changeFiles, missingOf, treeOf, verifyVersions } from "../support/crash-world.ts";
import { openPogo } from "../support/pogo.ts";
import { engines, temporaryDirectory } from "../support/postgres.ts";
import { seededRandom } from "../support/random.ts";
import { startTestServer, testRootToken } from "../support/server.ts";

const unavailable = 7;
const cuts = 6;

test("a connection that breaks anywhere is a clear error, and the next try completes the work", async () => {
  const { seed, random } = seededRandom();
  console.log(`seed ${seed}`);
  await using closing = new AsyncDisposableStack();
  const { path } = closing.use(temporaryDirectory());
  const pogo = closing.use(openPogo({ POGO_TOKEN: testRootToken }));
  const { server } = closing.use(await startTestServer(engines[0]!));
  const cable = closing.use(await openCable(server.port));
  const channel = openChannel({ url: server.url, token: testRootToken });
  closing.defer(() => channel.close());
  const remote = openRemote(channel, "cut");

  const cwd = join(path, "pusher");
  await pogo.ok(["init", cwd, "--server", cable.url, "--name", "cut"]);
  changeFiles(cwd, random, 40);
  const before = cable.carried();
  await pogo.ok(["push"], { cwd });
  let typicalBytes = cable.carried() - before;
  let broken = 0;
  for (let cut = 0; cut < cuts; cut++) {
    const label = `seed ${seed}, cut ${cut}`;
    changeFiles(cwd, random, 20);
    cable.cutAfter(typicalBytes * random() * 0.9);
    const { exitCode, stderr } = await pogo.run(["push"], { cwd });
    expect([0, unavailable], `${label}: ${stderr}`).toContain(exitCode);
    if (exitCode === unavailable) {
      broken++;
      expect(stderr).toMatch(/^pogo: error: [^\n]+\n(pogo: hint: [^\n]+\n)?$/);
    }
    cable.mend();
    const missing = await missingOf(remote, cwd);
    const again = (await pogo.json(["push"], { cwd })) as {
      change: string;
      version: number;
      sent: { objects: number; bytes: number };
    };
    expect(again.sent.objects, label).toBeLessThanOrEqual(missing.objects);
    expect(again.sent.bytes, label).toBeLessThanOrEqual(missing.bytes);
    expect([again.version, (await remote.getChange(again.change)).tree.toHex()], label).toEqual([
      cut + 2,
      treeOf(cwd),
    ]);
  }
  expect(broken).toBeGreaterThan(0);
  await verifyVersions(remote);

  const expected = treeOf(cwd);
  typicalBytes = 0;
  for (let cut = 0; cut < cuts; cut++) {
    const root = join(path, `clone-${cut}`);
    const args = ["clone", `${cable.url}/cut`, root];
    const start = cable.carried();
    cable.cutAfter(cut === 0 ? Infinity : typicalBytes * random());
    const { exitCode, stderr } = await pogo.run(args, { cwd: path });
    if (cut === 0) typicalBytes = cable.carried() - start;
    expect([0, unavailable], stderr).toContain(exitCode);
    cable.mend();
    if (exitCode !== 0) await pogo.ok(args, { cwd: path });
    expect(treeOf(root)).toBe(expected);
  }
}, 180_000);

test("a large file that was cut off goes on where it was", async () => {
  await using closing = new AsyncDisposableStack();
  const { path } = closing.use(temporaryDirectory());
  const pogo = closing.use(openPogo({ POGO_TOKEN: testRootToken }));
  const { server } = closing.use(await startTestServer(engines[0]!));
  const cable = closing.use(await openCable(server.port));
  const cwd = join(path, "pusher");
  await pogo.ok(["init", cwd, "--server", cable.url, "--name", "large"]);
  const size = 20_000_000;
  const contents = Buffer.alloc(size);
  for (let offset = 0; offset < size; offset += 50_000) {
    crypto.getRandomValues(contents.subarray(offset, offset + 50_000));
  }
  writeFileSync(join(cwd, "large"), contents);
  cable.cutAfter(size * 0.7);
  expect((await pogo.run(["push"], { cwd })).exitCode).toBe(unavailable);
  cable.mend();
  // A chunk is at most 4 MiB: no more than one of them is lost.
  const { sent } = (await pogo.json(["push"], { cwd })) as { sent: { bytes: number } };
  expect(sent.bytes).toBeLessThan(size * 0.3 + 5 * 1024 * 1024);
  await pogo.ok(["clone", `${server.url}/large`, "copy"], { cwd: path });
  expect(treeOf(join(path, "copy"))).toBe(treeOf(cwd));
}, 120_000);
