/** Real servers on port 0, and users to call them. */
import { join } from "node:path";

import { openChannel, type Channel } from "#rpc/channel.ts";
import { openRemote, newRequestId, type Remote } from "#client/remote.ts";
import { AuthServiceService } from "#gen/pogo/v1/auth.ts";
import { startServer, type RunningServer, type ServerOptions } from "#server/server.ts";
import { prepareDatabase, temporaryDirectory, type Engine } from "./postgres.ts";

export const testRootToken = "root-token-of-the-tests";

export type TestServer = AsyncDisposable & {
  server: RunningServer;
  dataDirectory: string;
  databaseUrl: string | undefined;
  /** A channel for a token, or for nobody. Closed with the server. */
  channel(token?: string): Channel;
  /** The token of a channel. */
  tokenOf(channel: Channel): string | undefined;
  /** A channel for a new user. */
  user(name: string): Promise<Channel>;
};

/** Starts a server, on an empty database unless told otherwise. */
export async function startTestServer(
  engine: Engine,
  options: Partial<ServerOptions> = {},
): Promise<TestServer> {
  await using opening = new AsyncDisposableStack();
  const { path } = opening.use(temporaryDirectory());
  const { dataDirectory = join(path, "data") } = options;
  const isOthers = options.dataDirectory !== undefined || options.databaseUrl !== undefined;
  const { databaseUrl } = isOthers
    ? options
    : opening.use(await prepareDatabase(engine, dataDirectory));
  const server = await startServer({
    dataDirectory,
    listen: "127.0.0.1:0",
    databaseUrl,
    rootToken: testRootToken,
    observe: ({ error }) => error && console.error(error),
    ...options,
  });
  opening.defer(() => server.close());
  const parts = opening.move();
  const tokens = new Map<Channel, string | undefined>();
  const channel = (token?: string) => {
    const opened = openChannel({ url: server.url, token });
    tokens.set(opened, token);
    parts.defer(() => opened.close());
    return opened;
  };
  const root = channel(testRootToken);
  return {
    server,
    dataDirectory,
    databaseUrl,
    channel,
    tokenOf: (opened) => tokens.get(opened),
    async user(name) {
      const request = { name: "test", expiresAt: 0, user: name };
      const { secret } = await root.unary(AuthServiceService.createToken, request);
      return channel(secret);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Creates a repository and binds the channel to it. */
export async function createRemote(
  channel: Channel,
  name: string,
  options: { public?: boolean; caseSensitive?: boolean } = {},
): Promise<Remote> {
  const remote = openRemote(channel, name);
  await remote.createRepository({ public: false, caseSensitive: false, ...options });
  return remote;
}

export { newRequestId };
