/** What a command works with: the working copy that it stands in, and its repository's server. */
import { findToken } from "#client/credentials.ts";
import { publishedChange } from "#client/change.ts";
import { cachedRemote, cacheDirectory, openObjectCache } from "#client/object-cache.ts";
import { openRemote, type Remote } from "#client/remote.ts";
import { isDraft, publishedRevision } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import { recoverWorkspace } from "#client/switch.ts";
import { interruptedOperation } from "#client/working-copy/journal.ts";
import { openWorkspace, type Workspace } from "#client/workspace.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { openChannel } from "#rpc/channel.ts";
import type { Context } from "./context.ts";

export type Session = AsyncDisposable & {
  workspace: Workspace;
  /** The working copy's change, as it is now. */
  readonly current: CurrentChange;
  remote: Remote;
  /** The same, but for objects that an earlier command fetched to look at. */
  cached: Remote;
  /** Asks the server what became of the working copy's change, and remembers it. */
  refresh(): Promise<void>;
};

/** Connects to a repository on a server. */
export async function connect(
  context: Context,
  server: string,
  repository: string,
): Promise<{ remote: Remote; server: string } & Disposable> {
  const found = await findToken({ server, environment: context.environment });
  const { token, allowInsecure, trust } = found;
  const channel = openChannel({ url: server, token, allowInsecure, trust });
  const remote = openRemote(channel, repository, context.signal);
  return { remote, server: channel.url, [Symbol.dispose]: () => channel.close() };
}

/**
 * Opens the working copy that the command stands in, and a connection that is made when used.
 * What an earlier command was interrupted in is finished or undone first.
 */
export async function openSession(context: Context): Promise<Session> {
  const workspace = openWorkspace(context.cwd);
  const { server, repository } = workspace.state.binding;
  const connection = await connect(context, server, repository);
  const { remote } = connection;
  try {
    await recoverIfInterrupted(context, { workspace, remote });
  } catch (error) {
    connection[Symbol.dispose]();
    workspace[Symbol.dispose]();
    throw error;
  }

  async function refresh(): Promise<void> {
    const { current } = workspace.state;
    if (isDraft(current)) return;
    try {
      const change = await remote.getChange(`${current.name}@${current.version}`);
      workspace.state.setCurrent({ ...publishedChange(change), tree: current.tree });
    } catch (error) {
      // Removed since: it stays what it was here.
      if (!isPogoError(error, "not-found")) throw error;
    }
  }

  const cache = openObjectCache(cacheDirectory(context.environment));
  return {
    workspace,
    remote,
    cached: cachedRemote(remote, cache),
    refresh,
    get current() {
      return workspace.state.current;
    },
    async [Symbol.asyncDispose]() {
      cache[Symbol.dispose]();
      connection[Symbol.dispose]();
      workspace[Symbol.dispose]();
    },
  };
}

async function recoverIfInterrupted(
  context: Context,
  parts: { workspace: Workspace; remote: Remote },
): Promise<void> {
  if (!interruptedOperation(parts.workspace)) return;
  using _ = await parts.workspace.lock();
  const recovery = await recover(context, parts);
  if (!recovery) return;
  const { kind, outcome, kept } = recovery;
  context.note(`${outcome} a ${kind} that had been interrupted`);
  if (kept.length > 0)
    context.warn(`files that were changed meanwhile were left: ${kept.join(", ")}`);
}

async function recover(context: Context, parts: { workspace: Workspace; remote: Remote }) {
  using line = context.progress("finishing what was interrupted");
  return await recoverWorkspace(parts, line);
}

/** Finds the published change that was typed, to do something with it. */
export async function findTarget({ remote, current }: Session, typed: string): Promise<Change> {
  return await findWhole(remote, publishedRevision(current, typed));
}

/** Finds a change to do something with: an old version of one stays as it is. */
export async function findWhole(remote: Remote, revision: string): Promise<Change> {
  const change = await remote.getChange(revision);
  if (change.version === change.currentVersion) return change;
  const { prefix, version, currentVersion } = change;
  throw new PogoError(
    "usage",
    `${revision} is an old version: the change is at version ${currentVersion}`,
    { hint: `pogo new ${prefix}@${version} starts a new change from it` },
  );
}
