import { type Credentials, findToken, knownServers } from "#client/credentials.ts";
import { findRoot, openWorkspace } from "#client/workspace.ts";
import { PogoError } from "#core/errors.ts";
import { type Channel, openChannel } from "#rpc/channel.ts";
import type { Context } from "./context.ts";

/** Connects to a server, not to one of its repositories. */
export async function connectToServer(
  context: Context,
  named: string | undefined,
): Promise<{ channel: Channel; server: string; source: Credentials["source"] } & Disposable> {
  const url = chooseServer(context, named);
  const { token, allowInsecure, trust, source } = await findToken({
    server: url,
    environment: context.environment,
  });
  const channel = openChannel({ url, token, allowInsecure, trust });
  return { channel, server: channel.url, source, [Symbol.dispose]: () => channel.close() };
}

/** Connects to the server of the working copy that the command stands in, for its repository. */
export async function openRepository(
  context: Context,
): Promise<{ channel: Channel; repository: string } & Disposable> {
  using workspace = openWorkspace(context.cwd);
  const { server, repository } = workspace.state.binding;
  return { ...(await connectToServer(context, server)), repository };
}

/** Options of commands that speak to a server but not about a repository. */
export const serverArgs = {
  server: { type: "string", valueHint: "URL", description: "the server" },
} as const;

/** Options of commands about a repository that need no working copy of it. */
export const repositoryArgs = {
  repository: {
    type: "string",
    valueHint: "REPO",
    description: "the repository, if not the working copy's",
  },
  ...serverArgs,
} as const;

/** Connects for the repository that is named, else for the working copy's. */
export async function openNamedRepository(
  context: Context,
  { repository, server }: { repository?: string | undefined; server?: string | undefined },
): Promise<{ channel: Channel; repository: string } & Disposable> {
  if (repository !== undefined) return { ...(await connectToServer(context, server)), repository };
  if (server !== undefined) {
    throw new PogoError("usage", "--server goes with --repository", {
      hint: "without both it is the working copy's",
    });
  }
  return await openRepository(context);
}

/**
 * The server that a command means: the one that is named, else POGO_SERVER, else the working
 * copy's, else the only one that the user logged in to.
 */
export function chooseServer(context: Context, named: string | undefined): string {
  if (named !== undefined) return named;
  const { POGO_SERVER: fromEnvironment } = context.environment;
  if (fromEnvironment) return fromEnvironment;
  if (findRoot(context.cwd) !== undefined) {
    using workspace = openWorkspace(context.cwd);
    return workspace.state.binding.server;
  }
  const known = knownServers(context.environment);
  const [only] = known;
  if (only !== undefined && known.length === 1) return only;
  throw new PogoError("usage", "no server is named", {
    hint:
      known.length === 0
        ? "pogo login URL, as in http://localhost:7646"
        : `name one of ${known.join(", ")}, or set POGO_SERVER`,
  });
}
