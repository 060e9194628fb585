import { newDraft, publishedChange } from "#client/change.ts";
import { syncBookmark, type SyncResult } from "#client/merge.ts";
import { isDraft } from "#client/revision.ts";
import { PogoError } from "#core/errors.ts";
import { changeJson, shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { changeTo, openEditSession, type EditSession } from "../edit-session.ts";
import type { Style } from "../output.ts";
import { publish, pushedBefore } from "../push-view.ts";

export const sync = command({
  meta: {
    description: "bring a bookmark's change and this one together, and move the bookmark there",
    examples: ["pogo sync", "pogo sync release-2"],
  },
  args: {
    trunk: {
      type: "positional",
      required: false,
      valueHint: "BOOKMARK",
      description: "the bookmark (main)",
    },
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "describe the merge" },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    const trunk = args.trunk ?? "main";
    const pushed = pushedBefore(await publish(session, context), session.current);
    if (isDraft(session.current)) return await followTrunk(session, context, trunk);
    const { remote, current } = session;
    const result = await syncBookmark(remote, trunk, current.name, args.message ?? "");
    const { outcome, change, conflicts } = result;
    await changeTo(session, context, publishedChange(change));
    if (outcome === "conflicted") throw unresolved(trunk, conflicts);
    const value = { outcome, ...changeJson(change), pushed: pushed.value };
    context.report(value, (style) => pushed.text(style) + describe(trunk, result, style));
  },
});

/** A draft that holds nothing yet has nothing to bring: it starts again from the bookmark. */
async function followTrunk(session: EditSession, context: Context, trunk: string): Promise<void> {
  const { remote, current } = session;
  const change = await remote.getChange(trunk);
  const isThere = current.parents.some(({ change: name, version }) => {
    return name === change.name && version === change.version;
  });
  if (!isThere) await changeTo(session, context, newDraft([change], current.description));
  const value = { outcome: isThere ? "in-sync" : "behind", ...changeJson(change), pushed: null };
  context.report(value, (style) => {
    const name = `${shortName(change, style)} ${subject(change.description, style)}`;
    return isThere ? `already in sync with ${trunk}` : `new draft on top of ${trunk}: ${name}`;
  });
}

function unresolved(trunk: string, conflicts: readonly string[]): PogoError {
  const [first = "a path", ...more] = conflicts;
  const rest = more.length > 0 ? ` and ${more.length} more` : "";
  const message = `${trunk} and your change conflict in ${JSON.stringify(first)}${rest}: ${trunk} stays, and the merge is in your working copy`;
  return new PogoError("conflict", message, {
    hint: "resolve them (pogo status shows which), then pogo sync again",
  });
}

function describe(trunk: string, { outcome, change }: SyncResult, style: Style): string {
  const name = `${shortName(change, style)} ${subject(change.description, style)}`;
  const bookmark = style.green(trunk);
  switch (outcome) {
    case "created":
      return `created ${bookmark} at ${name}`;
    case "fast-forwarded":
      return `moved ${bookmark} forward to ${name}`;
    case "merged":
      return `merged, and moved ${bookmark} to ${name}`;
    case "behind":
      return `caught up with ${bookmark}: now at ${name}`;
    default:
      return `already in sync with ${bookmark}`;
  }
}
