/** A server with a victim's repository and an attacker's, and calls that must be refused. */
import { expect } from "bun:test";

import { newRequestId, type Remote } from "#client/remote.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { PushServiceService as Push, type CommitRequest } from "#gen/pogo/v1/push.ts";
import { fileEntry, forgeTree, plainObject } from "./forge.ts";
import type { Engine } from "./postgres.ts";
import { newChangeName, publish } from "./publish.ts";
import { openRawClient, type Ending, type RawClient } from "./raw-client.ts";
import { createRemote, startTestServer, testRootToken, type TestServer } from "./server.ts";
import { watchTraces } from "./traces.ts";

export const secret = plainObject("what only Ann has");
export const secretTree = forgeTree(fileEntry("secret", 17, secret.hash));

export type Calls = Record<string, () => Promise<Ending<unknown>>>;

export type Attack = AsyncDisposable & {
  server: TestServer;
  /** The attacker, who has a token and a repository of his own, named "own". */
  mallory: RawClient;
  remote: Remote;
  own: Change;
  /** A change in the repository "anns", which is not his. */
  foreign: Change;
  commit(overrides: Partial<CommitRequest>): Promise<Ending<unknown>>;
  /** Makes each call, tells those that did not end with the code, and that nothing is left. */
  expectRefused(code: string, calls: Calls): Promise<void>;
};

/** Sets the scene. */
export async function openAttack(engine: Engine): Promise<Attack> {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await startTestServer(engine));
  const [ann, bob] = [await server.user("ann"), await server.user("mallory")];
  const anns = await createRemote(ann, "anns");
  await anns.putObjects([secret]);
  await anns.putTrees([secretTree]);
  const foreign = (await publish(anns, { secret: "what only Ann has" })).change!;
  const remote = await createRemote(bob, "own");
  const own = (await publish(remote, { "a.txt": "one" })).change!;
  const mallory = opening.use(openRawClient(server.server.url, await tokenOf(server, "mallory")));
  const traces = opening.use(watchTraces(server, [ann, bob]));
  const parts = opening.move();

  async function expectRefused(code: string, calls: Calls): Promise<void> {
    const before = await traces.count();
    const ended: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, call] of Object.entries(calls)) {
      ended[name] = (await call()).code;
      expected[name] = code;
    }
    expect(ended).toEqual(expected);
    expect(await traces.count()).toEqual(before);
  }

  const commit = (overrides: Partial<CommitRequest>) => {
    return mallory.unary(Push.commit, {
      repository: "own",
      requestId: newRequestId(),
      change: newChangeName(),
      expectedVersion: 0,
      tree: own.tree,
      parents: [],
      description: "hostile",
      child: "",
      ...overrides,
    });
  };

  return {
    server,
    mallory,
    remote,
    own,
    foreign,
    commit,
    expectRefused,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function tokenOf(server: TestServer, user: string): Promise<string> {
  using root = openRawClient(server.server.url, testRootToken);
  const request = { name: "hostile", expiresAt: 0, user };
  const { responses } = await root.unary(Auth.createToken, request);
  return responses[0]!.secret;
}
