/** A session of a command that changes the working copy: locked, and whole before it begins. */
import type { Repository } from "#gen/pogo/v1/repository.ts";
import { recoverWorkspace } from "#client/switch.ts";
import type { Context } from "./context.ts";
import { openSession, type Session } from "./session.ts";

export type EditSession = Session & {
  /** Lets the repository hold names that differ in case alone, from now on. */
  allowCaseCollisions(): Promise<Repository>;
};

/** Opens a session, keeps other commands out, and finishes what a killed one left undone. */
export async function openEditSession(context: Context): Promise<EditSession> {
  const session = await openSession(context);
  const { workspace, remote } = session;
  let lock: Disposable | undefined;
  const close = async () => {
    lock?.[Symbol.dispose]();
    await session[Symbol.asyncDispose]();
  };
  try {
    lock = await workspace.lock();
    const recovered = await recoverWorkspace({ workspace, remote });
    if (recovered) context.note(recovered);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    workspace,
    remote,
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
