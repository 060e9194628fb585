/** A real server that is killed now and then, and four clients of two users who go on. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { newDraft } from "#client/change.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { createWorkspace, type Workspace } from "#client/workspace.ts";
import { isPogoError } from "#core/errors.ts";
import { AuthServiceService as Auth } from "#gen/pogo/v1/auth.ts";
import { MemberServiceService as Members } from "#gen/pogo/v1/member.ts";
import { openChannel, type Channel } from "#rpc/channel.ts";
import { openPogo } from "../support/pogo.ts";
import { prepareDatabase, temporaryDirectory, type Engine } from "../support/postgres.ts";
import type { Random } from "../support/random-files.ts";
import { rootToken, startServing, type Serving } from "../support/serving.ts";
import type { Version } from "./repository.ts";

export const repositoryName = "model";

export type Client = {
  index: number;
  user: string;
  token: string;
  channel: Channel;
  remote: Remote;
  /** Ends all that it has under way. */
  connection: AbortController;
  /** What it works on: maybe no longer what the change is at. */
  at: Version | undefined;
  /** Of the client that has a directory. */
  workspace: Workspace | undefined;
};

export type Answer<T> = ({ value: T } | { refused: string; message: string }) & {
  /** It was sent twice; and what was heard the first time, if anything was. */
  again?: boolean;
  heard?: Answer<T> | undefined;
};

const clientCount = 4;
// One of so many requests.
const killedEvery = 80;
const cutOffEvery = 50;

/** Starts a server with an empty repository, and its clients. */
export async function openWorld(engine: Engine, random: Random) {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(temporaryDirectory());
  const data = join(path, "data");
  const { databaseUrl } = opening.use(await prepareDatabase(engine, data));
  const pogo = opening.use(openPogo());
  const options = { home: pogo.home, data, databaseUrl };
  let server: Serving = await startServing(options);
  opening.defer(() => server.stop().then(() => {}));
  const counts = { requests: 0, kills: 0, cuts: 0, lostAnswers: 0 };
  let typicalMs = 10;

  const connect = (token: string) => {
    const channel = openChannel({ url: server.url, token });
    const connection = new AbortController();
    const remote = openRemote(channel, repositoryName, connection.signal);
    return { channel, remote, connection };
  };
  const root = connect(rootToken);
  await root.remote.createRepository({ public: false, caseSensitive: false });
  const request = { name: "model", expiresAt: 0, user: "bob" };
  const { secret } = await root.channel.unary(Auth.createToken, request);
  const member = { name: "bob", group: false, role: "write" };
  await root.channel.unary(Members.setMember, { repository: repositoryName, member });
  root.channel.close();

  const clients: Client[] = Array.from({ length: clientCount }, (_, index) => {
    const user = index % 2 === 0 ? "root" : "bob";
    const token = user === "root" ? rootToken : secret;
    return { index, user, token, ...connect(token), at: undefined, workspace: undefined };
  });
  opening.defer(() => clients.forEach(({ channel }) => channel.close()));
  const directory = join(path, "copy");
  mkdirSync(directory);
  const binding = { server: server.url, repository: repositoryName, caseSensitive: false };
  clients.at(-1)!.workspace = opening.use(createWorkspace(directory, binding, newDraft([])));

  function reconnect(client: Client): void {
    client.channel.close();
    Object.assign(client, connect(client.token));
  }

  /**
   * Makes a request. Now and then the server is killed or the connection cut in the middle; then
   * the request is sent again.
   */
  async function ask<T>(client: Client, call: (client: Client) => Promise<T>): Promise<Answer<T>> {
    const isKilled = counts.requests++ % killedEvery === killedEvery / 2;
    const isCutOff = random.next(cutOffEvery) === 0;
    if (!isKilled && !isCutOff) {
      const startedMs = performance.now();
      const answer = await settle(client, call);
      typicalMs = typicalMs * 0.9 + (performance.now() - startedMs) * 0.1;
      return answer;
    }
    const first = settle(client, call);
    await Bun.sleep(random.next(Math.ceil(typicalMs * 2)));
    if (isKilled) {
      counts.kills++;
      await server.stop("SIGKILL");
    } else {
      counts.cuts++;
      client.connection.abort();
    }
    const heard = await first;
    if (isKilled) {
      server = await startServing(options);
      clients.forEach(reconnect);
    } else {
      reconnect(client);
    }
    const answer = await settle(client, call);
    const isLost = "refused" in heard && ["unavailable", "internal"].includes(heard.refused);
    if (isLost) counts.lostAnswers++;
    return { ...answer, again: true, heard: isLost ? undefined : heard };
  }

  const opened = opening.move();
  return {
    clients,
    counts,
    ask,
    complaints: () => server.complaints(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

export type World = Awaited<ReturnType<typeof openWorld>>;

async function settle<T>(client: Client, call: (client: Client) => Promise<T>): Promise<Answer<T>> {
  const { signal } = client.connection;
  try {
    return { value: await call(client) };
  } catch (error) {
    if (signal.aborted) return { refused: "unavailable", message: "cut off" };
    if (isPogoError(error)) return { refused: error.code, message: error.message };
    throw error;
  }
}
