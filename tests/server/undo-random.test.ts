/**
 * Random operations, each undone, redone or refused, and restores to any of them.
 *
 * POGO_TEST_STEPS says how many operations; POGO_TEST_SEED repeats a run.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { listOperations, verifyOperations } from "#client/operations.ts";
import { newRequestId, type Remote } from "#client/remote.ts";
import { isPogoError } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { RebaseScope } from "#gen/pogo/v1/history.ts";
import { engines, startMs } from "../support/postgres.ts";
import { publish } from "../support/publish.ts";
import { seededRandom } from "../support/random.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import { temporaryWorkspace } from "../support/workspace.ts";

setDefaultTimeout(startMs);

const stepCountMax = Number(process.env["POGO_TEST_STEPS"] ?? 40);

describe.each(engines)("%s", (engine) => {
  // The embedded database is slow.
  const stepCount = engine === "postgres" ? stepCountMax : stepCountMax / 2;
  const restoreCount = stepCount / 5;
  let server: TestServer;
  let remote: Remote;
  beforeAll(async () => {
    server = await startTestServer(engine);
    remote = await createRemote(await server.user("ann"), "random");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function look() {
    const query = { revisions: [], paths: [], limit: 1000 };
    const changes = await Array.fromAsync(remote.listChanges(query));
    const bookmarks = await Array.fromAsync(remote.listBookmarks());
    return { changes, bookmarks };
  }

  const tell = ({ changes, bookmarks }: Awaited<ReturnType<typeof look>>) => [
    ...changes.map(({ name, version }) => `${name}@${version}`).sort(),
    ...bookmarks.map(({ name, change }) => `${name} ${change!.name}`),
  ];

  async function headNumber(): Promise<number> {
    for await (const { number } of listOperations(remote, { from: 0, limit: 1 })) return number;
    return 0;
  }

  /** Nothing visible stands on what is hidden, and ancestors are listed last. */
  function checkGraph(changes: readonly Change[]): void {
    const place = new Map(changes.map(({ name }, index) => [name, index]));
    for (const { name, parents } of changes) {
      for (const { change } of parents) {
        expect(place.get(change)).toBeGreaterThan(place.get(name)!);
      }
    }
  }

  test("whatever is undone or restored is as it was, and the log holds", async () => {
    const { seed, random } = seededRandom();
    console.log(`${engine}: POGO_TEST_SEED=${seed}`);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
    const states = [tell(await look()), tell(await look())];
    let { changes } = await look();
    const requestId = () => newRequestId();
    const refOf = ({ name, version }: Change) => {
      return { change: name, version, description: "", prefix: "" };
    };
    const files = () => ({ [pick(["a", "b", "c"])]: String(Math.floor(random() * 9)) });
    const actions: (() => Promise<unknown>)[] = [
      () => publish(remote, files(), { parents: changes[0] ? [refOf(pick(changes))] : [] }),
      () => publish(remote, files()),
      () => {
        const { name, version } = pick(changes);
        return publish(remote, files(), { change: name, expectedVersion: version });
      },
      () => remote.describeChange(pick(changes).name, String(random())),
      () => remote.setBookmark(pick(["main", "other"]), pick(changes).name),
      () => remote.deleteBookmark(pick(["main", "other"])),
      () => remote.removeChange(pick(changes).name),
      () =>
        remote.rebaseChanges({
          requestId: requestId(),
          scope: RebaseScope.REBASE_SCOPE_SOURCE,
          revision: pick(changes).name,
          destinations: [pick(changes).name],
        }),
      () => remote.undoOperation({ requestId: requestId(), number: 0 }),
      () => remote.redoOperation({ requestId: requestId() }),
      async () => {
        const number = 1 + Math.floor(random() * (await headNumber()));
        return await remote.undoOperation({ requestId: requestId(), number });
      },
    ];
    for (let step = 0; step < stepCount; step++) {
      if (changes.length === 0) await publish(remote, files());
      else {
        await pick(actions)().catch((error: unknown) => {
          if (!isPogoError(error) || error.code === "internal") throw error;
        });
      }
      const now = await look();
      const head = await headNumber();
      checkGraph(now.changes);
      // What moved nothing, or was refused, left everything as it was.
      if (head < states.length) expect(tell(now)).toEqual(states[head]!);
      else states.push(tell(now));
      expect(states.length).toBe(head + 1);
      ({ changes } = now);
    }
    for (let round = 0; round < restoreCount; round++) {
      const number = Math.floor(random() * states.length);
      await remote.restoreOperation({ requestId: requestId(), number });
      const now = await look();
      expect(tell(now)).toEqual(states[number]!);
      checkGraph(now.changes);
      if ((await headNumber()) === states.length) states.push(tell(now));
    }
    using temporary = temporaryWorkspace();
    const verified = await verifyOperations(remote, temporary.workspace.state);
    expect(verified.number).toBe(states.length - 1);
  });
});
