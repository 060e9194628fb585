/** A command that rewrites history: publishes first, then follows where its change went. */
import { findRewritten } from "#client/history.ts";
import { isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import { recordDeparture } from "#client/undo-destination.ts";
import { isPogoError, PogoError } from "#core/errors.ts";
import { parseRevision, workingCopyBase } from "#core/revision.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { Context } from "./context.ts";
import { changeTo, type EditSession } from "./edit-session.ts";
import { publish, pushedBefore } from "./push-view.ts";
import { findTarget } from "./session.ts";

export type Pushed = ReturnType<typeof pushedBefore>;

/**
 * Finds the changes that were typed and publishes the working copy. They are asked for first, as
 * a mistyped name must not publish anything; "@" is what was published. Nothing stands for a
 * draft that is still empty.
 */
export async function publishAndFind(
  session: EditSession,
  context: Context,
  texts: readonly string[],
): Promise<{ pushed: Pushed; changes: (Change | undefined)[] }> {
  const names: (string | undefined)[] = [];
  for (const text of texts) {
    names.push(isOwn(text) ? undefined : (await findTarget(session, text)).name);
  }
  const pushed = pushedBefore(await publish(session, context), session.current);
  const { remote, current } = session;
  const own = isDraft(current) ? undefined : current.name;
  const changes: (Change | undefined)[] = [];
  for (const name of names) {
    const found = name ?? own;
    changes.push(found === undefined ? undefined : await remote.getChange(found));
  }
  return { pushed, changes };
}

/** Refuses a draft that holds nothing yet. */
export function requireEdits(change: Change | undefined, verb: string): Change {
  if (change) return change;
  throw new PogoError("usage", `the draft in this working copy holds nothing to ${verb}`, {
    hint: "name a published change: pogo log",
  });
}

/** Brings the working copy to where its change is now. */
export async function followRewriting(
  session: EditSession,
  context: Context,
  moved?: ReadonlyMap<string, string>,
): Promise<void> {
  const { current } = session;
  const target = await findRewritten(session, moved);
  try {
    await changeTo(session, context, target);
  } catch (error) {
    throw isPogoError(error, "conflict") ? leftBehind(target, error) : error;
  }
  const { name } = session.current;
  // An undo leads back to the change that was left.
  const departure = { number: 0, name, how: "switched", current } as const;
  if (name !== current.name) recordDeparture(session.workspace.state, departure);
}

function leftBehind(target: CurrentChange, cause: PogoError): PogoError {
  const parent = target.parents[0]?.prefix ?? "";
  const next = isDraft(target) ? `pogo new ${parent}` : `pogo edit ${target.prefix}`;
  const message = `it is done, but the working copy stays where it was: ${cause.message}`;
  return new PogoError("conflict", message, { cause, hint: `move them away, then ${next}` });
}

function isOwn(text: string): boolean {
  const { base, steps } = parseRevision(text);
  return base === workingCopyBase && steps.length === 0;
}
