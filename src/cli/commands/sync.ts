import { newDraft, publishedChange } from "#client/change.ts";
import { syncBookmark, type SyncResult } from "#client/merge.ts";
import { isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import { PogoError } from "#core/errors.ts";
import { scan } from "#client/working-copy/scan.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { changeJson, count, shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { changeTo, openEditSession, type EditSession } from "../edit-session.ts";
import { fileLine } from "../file-view.ts";
import type { Style } from "../output.ts";
import { publish, pushedBefore } from "../push-view.ts";

const conflictsShown = 20;

export const sync = command({
  meta: {
    description: "bring a bookmark's change and this one together, and move the bookmark there",
    examples: ["pogo sync", "pogo sync release-2", "pogo sync --rebase", "pogo sync --dry-run"],
  },
  args: {
    trunk: {
      type: "positional",
      required: false,
      valueHint: "BOOKMARK",
      description: "the bookmark (main)",
    },
    message: { type: "string", alias: "m", valueHint: "TEXT", description: "describe the merge" },
    rebase: {
      type: "boolean",
      description: "put what the bookmark does not have on top of it, instead of a merge",
    },
    dryRun: { type: "boolean", alias: "n", description: "only say what would happen" },
  },
  async run({ args, context }) {
    if (args.rebase && args.message !== undefined) {
      throw new PogoError("usage", "--rebase makes no merge that -m could describe");
    }
    await using session = await openEditSession(context);
    const trunk = args.trunk ?? "main";
    const rebase = args.rebase === true;
    if (args.dryRun) return await foresee(session, context, trunk, rebase);
    const pushed = pushedBefore(await publish(session, context), session.current);
    const { current } = session;
    const result = await syncCurrent(session, trunk, args.message ?? "", { rebase });
    const { outcome, change, conflicts, rebased } = result;
    // A draft that holds nothing stays one; conflicts are resolved where they are.
    const isAbove = isDraft(current) && outcome !== "conflicted";
    const target = isAbove ? draftAbove(current, change) : publishedChange(change);
    await changeTo(session, context, target);
    if (outcome === "conflicted") throw unresolved(trunk, conflicts, rebase);
    const value = { outcome, ...changeJson(change), rebased, pushed: pushed.value };
    context.report(value, (style) => pushed.text(style) + describe(trunk, result, style));
  },
});

/** Brings in the working copy's change; of a draft that holds nothing yet, what it stands on. */
async function syncCurrent(
  { remote, current }: EditSession,
  trunk: string,
  description: string,
  options: { rebase: boolean; dryRun?: boolean },
): Promise<SyncResult> {
  const name = isDraft(current) ? current.parents[0]?.change : current.name;
  if (name !== undefined) return await syncBookmark(remote, trunk, name, description, options);
  const change = await remote.getChange(trunk);
  return { outcome: "behind", change, conflicts: [], rebased: 0 };
}

/** The draft, on top of what came of the sync. */
function draftAbove(current: CurrentChange, parent: Change): CurrentChange {
  const { name, prefix } = current;
  return { ...newDraft([parent], current.description), name, prefix };
}

/** Says what a sync of what is published would do. */
async function foresee(
  session: EditSession,
  context: Context,
  trunk: string,
  rebase: boolean,
): Promise<void> {
  const { workspace } = session;
  const unpublished = scan(workspace).differences.length;
  const result = await syncCurrent(session, trunk, "", { rebase, dryRun: true });
  const { outcome, change, conflicts, rebased } = result;
  const value = { dryRun: true, outcome, ...changeJson(change), rebased, conflicts, unpublished };
  context.print(value, (style) => {
    const lines = [foreseen(trunk, result, style), ...conflictPaths(conflicts, style)];
    if (unpublished > 0) {
      lines.push(`${count(unpublished, "edited file")} not pushed yet: left out of this`);
    }
    return lines.join("\n");
  });
}

function foreseen(trunk: string, { outcome, change, rebased }: SyncResult, style: Style): string {
  const name = `${shortName(change, style)} ${subject(change.description, style)}`;
  const bookmark = style.green(trunk);
  switch (outcome) {
    case "created":
      return `would create ${bookmark} at ${name}`;
    case "fast-forwarded":
      return `would move ${bookmark} forward to ${name}`;
    case "merged":
      return `would merge ${name} into ${bookmark}`;
    case "rebased":
      return `would rebase ${count(rebased, "change")} onto ${bookmark}, and move it to ${name}`;
    case "conflicted":
      return `${bookmark} would stay: it and ${name} conflict`;
    case "behind":
      return `would catch up with ${bookmark}: ${name}`;
    default:
      return `already in sync with ${bookmark}`;
  }
}

function conflictPaths(conflicts: readonly string[], style: Style): string[] {
  const shown = conflicts.slice(0, conflictsShown);
  const lines = shown.map((path) => fileLine({ path, status: "conflicted" }, style));
  if (conflicts.length > shown.length) lines.push(`  and ${conflicts.length - shown.length} more`);
  return lines;
}

function unresolved(trunk: string, conflicts: readonly string[], rebase: boolean): PogoError {
  const [first = "a path", ...more] = conflicts;
  const rest = more.length > 0 ? ` and ${more.length} more` : "";
  const message = `${trunk} and your change conflict in ${JSON.stringify(first)}${rest}: ${trunk} stays, and the ${rebase ? "rebased change" : "merge"} is in your working copy`;
  return new PogoError("conflict", message, {
    hint: `resolve them (pogo status shows which), then pogo sync${rebase ? " --rebase" : ""} again`,
  });
}

function describe(trunk: string, { outcome, change, rebased }: SyncResult, style: Style): string {
  const name = `${shortName(change, style)} ${subject(change.description, style)}`;
  const bookmark = style.green(trunk);
  switch (outcome) {
    case "created":
      return `created ${bookmark} at ${name}`;
    case "fast-forwarded":
      return `moved ${bookmark} forward to ${name}`;
    case "merged":
      return `merged, and moved ${bookmark} to ${name}`;
    case "rebased":
      return `rebased ${count(rebased, "change")}, and moved ${bookmark} to ${name}`;
    case "behind":
      return `caught up with ${bookmark}: now at ${name}`;
    default:
      return `already in sync with ${bookmark}`;
  }
}
