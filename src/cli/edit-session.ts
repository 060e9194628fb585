/** A session of a command that changes the working copy. */
import type { Repository } from "#gen/pogo/v1/repository.ts";
import type { CurrentChange } from "#client/state.ts";
import { switchTo } from "#client/switch.ts";
import { finishUndo, type Undone } from "#client/undo.ts";
import { isPogoError } from "#core/errors.ts";
import type { Context } from "./context.ts";
import { openSession, type Session } from "./session.ts";

export type EditSession = Session & {
  /** What a killed command had asked to be undone, if the working copy followed it only now. */
  finished: Undone | undefined;
  /** Lets the repository hold names that differ in case alone, from now on. */
  allowCaseCollisions(): Promise<Repository>;
};

/** Opens a session and keeps other commands that write out of the working copy. */
export async function openEditSession(context: Context): Promise<EditSession> {
  const session = await openSession(context);
  const { workspace, remote } = session;
  let lock: Disposable | undefined;
  let finished: Undone | undefined;
  const close = async () => {
    lock?.[Symbol.dispose]();
    await session[Symbol.asyncDispose]();
  };
  try {
    lock = await workspace.lock();
    finished = await followInterrupted(context, session);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    workspace,
    remote,
    finished,
    cached: session.cached,
    refresh: session.refresh,
    get current() {
      return workspace.state.current;
    },
    async allowCaseCollisions() {
      const repository = await remote.allowCaseCollisions();
      workspace.state.setBinding({ ...workspace.state.binding, caseSensitive: true });
      return repository;
    },
    [Symbol.asyncDispose]: close,
  };
}

async function followInterrupted(context: Context, session: Session): Promise<Undone | undefined> {
  try {
    const finished = await finishUndo(session);
    if (finished)
      context.note(`followed operation ${finished.operation.number}: its command was killed`);
    return finished;
  } catch (error) {
    // What needs no server works without it, and what needs it will say so.
    if (isPogoError(error, "unavailable")) return undefined;
    throw error;
  }
}

/** Brings the working copy to another change, showing how it goes. */
export async function changeTo(
  session: EditSession,
  context: Context,
  target: CurrentChange,
): Promise<void> {
  using line = context.progress("checking out");
  const { kept } = await switchTo(session, target, line);
  if (kept.length === 0) return;
  context.warn(`files that were changed meanwhile were left: ${kept.join(", ")}`, "pogo status");
}
