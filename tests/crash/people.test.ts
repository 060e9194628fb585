/** Several people, or one at several places: who is slower is told, and nobody's work is lost. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { push } from "#client/push.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { openWorkspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import { openChannel } from "#rpc/channel.ts";
import { verifyVersions } from "../support/crash-world.ts";
import { engines, prepareDatabase, temporaryDirectory } from "../support/postgres.ts";
import { openPogo, type Outcome, type Pogo } from "../support/pogo.ts";
import { rootToken, startServing, type Serving } from "../support/serving.ts";

const conflict = 5;
// Root without its capabilities is refused like anybody else.
const through = process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all"] : [];

describe.each(engines)("%s", (engine) => {
  const closing = new AsyncDisposableStack();
  let pogo: Pogo;
  let server: Serving;
  let path: string;
  let remote: Remote;
  let copies = 0;

  beforeAll(async () => {
    path = closing.use(temporaryDirectory()).path;
    const data = join(path, "data");
    const { databaseUrl } = closing.use(await prepareDatabase(engine, data));
    pogo = closing.use(openPogo({ POGO_TOKEN: rootToken }));
    server = closing.use(await startServing({ home: pogo.home, data, databaseUrl }));
    await pogo.ok(["init", join(path, "init"), "--server", server.url, "--name", "shared"]);
    const channel = openChannel({ url: server.url, token: rootToken });
    closing.defer(() => channel.close());
    remote = openRemote(channel, "shared");
  }, 120_000);
  afterAll(() => closing.disposeAsync());

  /** Two working copies of one change that has one version. */
  async function twoCopies(): Promise<{ ann: string; bob: string; name: string }> {
    const [ann, bob] = [join(path, `copy-${++copies}`), join(path, `copy-${++copies}`)];
    await pogo.ok(["clone", `${server.url}/shared`, ann]);
    writeFileSync(join(ann, "file"), `begun ${copies}\n`);
    const { change } = (await pogo.json(["push"], { cwd: ann })) as { change: string };
    await pogo.ok(["clone", `${server.url}/shared`, bob, "-r", change]);
    await pogo.ok(["edit", change], { cwd: bob });
    return { ann, bob, name: change };
  }

  function expectTold({ exitCode, stderr }: Outcome, name: string): void {
    expect(exitCode).toBe(conflict);
    expect(stderr).toContain(name);
    expect(stderr).toContain("it is at version 2, and yours is kept as version 3");
    expect(stderr).toMatch(/\npogo: hint: pogo diff --from \w+@2 --to \w+@3 /);
  }

  async function expectBoth(cwd: string, name: string, first: string, second: string) {
    expect(await pogo.ok(["cat", `${name}@2`, "file"], { cwd })).toBe(first);
    expect(await pogo.ok(["cat", `${name}@3`, "file"], { cwd })).toBe(second);
    // Others see what came first.
    expect(await pogo.ok(["cat", name, "file"], { cwd })).toBe(first);
    await verifyVersions(remote);
  }

  test("of two who push to one change at once the second is told, and both versions are kept", async () => {
    const { ann, bob, name } = await twoCopies();
    writeFileSync(join(ann, "file"), "ann's\n");
    writeFileSync(join(bob, "file"), "bob's\n");
    const outcomes = await Promise.all([ann, bob].map((cwd) => pogo.run(["push"], { cwd })));
    const isAnnFirst = outcomes[0]!.exitCode === 0;
    expect(outcomes[isAnnFirst ? 0 : 1]!.exitCode).toBe(0);
    expectTold(outcomes[isAnnFirst ? 1 : 0]!, name);
    const texts = isAnnFirst ? ["ann's\n", "bob's\n"] : ["bob's\n", "ann's\n"];
    await expectBoth(ann, name, texts[0]!, texts[1]!);
  }, 60_000);

  test("who lost the answer that somebody was faster is told at the next push", async () => {
    const { ann, bob, name } = await twoCopies();
    writeFileSync(join(ann, "file"), "ann's\n");
    await pogo.ok(["push"], { cwd: ann });
    writeFileSync(join(bob, "file"), "bob's\n");
    using workspace = openWorkspace(bob);
    const broken: Remote = {
      ...remote,
      async commit(request) {
        await remote.commit(request);
        throw new PogoError("unavailable", "the answer is lost");
      },
    };
    const lost = push({ workspace, remote: broken }).catch((error: unknown) => error);
    expect(await lost).toMatchObject({ code: "unavailable" });
    expectTold(await pogo.run(["push"], { cwd: bob }), name);
    await expectBoth(bob, name, "ann's\n", "bob's\n");
    // Told once: it is known now.
    expect((await pogo.run(["push"], { cwd: bob })).exitCode).toBe(0);
  }, 60_000);

  test("who lost the answer to a push has it pushed once", async () => {
    const { ann, name } = await twoCopies();
    writeFileSync(join(ann, "file"), "ann's\n");
    {
      using workspace = openWorkspace(ann);
      const broken: Remote = {
        ...remote,
        async commit(request) {
          await remote.commit(request);
          throw new PogoError("unavailable", "the answer is lost");
        },
      };
      await push({ workspace, remote: broken }).catch(() => {});
    }
    const again = await pogo.json(["push"], { cwd: ann });
    expect(again).toMatchObject({ change: name, version: 2, sent: { objects: 0, trees: 0 } });
    expect((await remote.getChange(name)).currentVersion).toBe(2);
  }, 60_000);

  // What follows goes no further than the client.
  if (engine !== engines[0]) return;

  test("a file or directory that cannot be read aborts the push", async () => {
    const { ann, name } = await twoCopies();
    const secret = join(ann, "secret");
    const closed = join(ann, "closed");
    writeFileSync(join(ann, "fine"), "fine\n");
    writeFileSync(secret, "unreadable\n");
    mkdirSync(closed);
    writeFileSync(join(closed, "inside"), "unreachable\n");
    for (const place of [secret, closed]) {
      chmodSync(place, 0);
      const { exitCode, stderr } = await pogo.run(["push"], { cwd: ann, through });
      expect([exitCode, stderr]).toEqual([6, expect.stringContaining(place.slice(ann.length + 1))]);
      chmodSync(place, 0o700);
      expect((await remote.getChange(name)).currentVersion).toBe(1);
    }
    expect((await pogo.run(["push"], { cwd: ann, through })).exitCode).toBe(0);
    expect((await remote.getChange(name)).currentVersion).toBe(2);
  }, 60_000);

  test("a working copy that cannot be written is a clear error, and can be read", async () => {
    const { ann, name } = await twoCopies();
    writeFileSync(join(ann, "file"), "edited\n");
    const places = [ann, join(ann, ".pogo")];
    for (const place of places) chmodSync(place, 0o555);
    expect((await pogo.run(["status"], { cwd: ann, through })).exitCode).toBe(0);
    expect((await pogo.run(["log"], { cwd: ann, through })).exitCode).toBe(0);
    for (const command of [["push"], ["discard"], ["edit", `${name}@1`]]) {
      const { exitCode, stderr } = await pogo.run(command, { cwd: ann, through });
      expect([command, exitCode, stderr]).toEqual([command, 6, expect.stringContaining(ann)]);
    }
    for (const place of places) chmodSync(place, 0o755);
    expect((await remote.getChange(name)).currentVersion).toBe(1);
    expect((await pogo.run(["push"], { cwd: ann, through })).exitCode).toBe(0);
  }, 60_000);
});
