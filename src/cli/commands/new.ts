import { newDraft, publishedChange } from "#client/change.ts";
import { mergeChanges } from "#client/merge.ts";
import { changeRevision, isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import { parseRevision, workingCopyBase } from "#core/revision.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { draftJson } from "../draft-view.ts";
import { changeJson, changeLine, shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import { conflictLines } from "../conflict-view.ts";
import type { Context } from "../context.ts";
import { changeTo, openEditSession, type EditSession } from "../edit-session.ts";
import type { Style } from "../output.ts";
import { pushedBefore, publish } from "../push-view.ts";

export const newChange = command({
  meta: {
    description: "publish the working copy, then start a new change on top of it or of others",
    examples: ["pogo new", 'pogo new main -m "parser: accept empty lists"', "pogo new @ main"],
  },
  args: {
    message: {
      type: "string",
      alias: "m",
      valueHint: "TEXT",
      description: "describe the new change",
    },
  },
  rest: { valueHint: "PARENT", description: "on top of (@); several are merged" },
  async run({ args, rest, context }) {
    await using session = await openEditSession(context);
    if (rest.length > 1) return await startMerge(session, context, rest, args.message ?? "");
    // Asked first: a mistyped name must not publish anything.
    const named = await findParent(session, rest[0] ?? workingCopyBase);
    const pushed = pushedBefore(await publish(session, context), session.current);
    const { workspace, remote, current } = session;
    if (!named && isDraft(current)) {
      // Still empty: it is what was asked for.
      workspace.state.setCurrent({ ...current, description: args.message ?? "" });
    } else {
      const parent = named ?? (await remote.getChange(`${current.name}@${current.version}`));
      await changeTo(session, context, newDraft([parent], args.message));
    }
    const draft = session.current;
    context.report({ ...draftJson(draft), pushed: pushed.value }, (style) => {
      return `${pushed.text(style)}new draft ${shortName(draft, style)}${parentsText(draft, style)}`;
    });
  },
});

/** The change to build on; nothing for the working copy's own, as it will be once published. */
async function findParent(session: EditSession, text: string): Promise<Change | undefined> {
  const { remote, current } = session;
  const revision = changeRevision(current, text);
  if (revision === undefined || text === workingCopyBase) return undefined;
  const change = await remote.getChange(revision);
  return change.name === current.name && change.version === current.version ? undefined : change;
}

/** A merge is made on the server: it is a change, not a draft. */
async function startMerge(
  session: EditSession,
  context: Context,
  texts: readonly string[],
  description: string,
): Promise<void> {
  const named: (Change | undefined)[] = [];
  for (const text of texts) {
    parseRevision(text);
    named.push(await findParent(session, text));
  }
  const pushed = pushedBefore(await publish(session, context), session.current);
  const { remote, current } = session;
  // A draft that is still empty stands for what it is on top of.
  const own = isDraft(current)
    ? current.parents.map(({ change, version }) => `${change}@${version}`)
    : [`${current.name}@${current.version}`];
  const revisions = named.flatMap((change) => (change ? `${change.name}@${change.version}` : own));
  const { change, conflicts } = await mergeChanges(remote, revisions, description);
  await changeTo(session, context, publishedChange(change));
  context.report({ ...changeJson(change), conflicts, pushed: pushed.value }, (style) => {
    const parents = parentsText(session.current, style);
    const line = `${pushed.text(style)}now at the merge ${changeLine(change, style)}${parents}`;
    return [line, ...conflictLines(conflicts, style)].join("\n");
  });
}

function parentsText({ parents }: CurrentChange, style: Style): string {
  if (parents.length === 0) return "";
  const texts = parents.map(({ change: name, prefix, description }) => {
    return `${shortName({ name, prefix }, style)} ${subject(description, style)}`;
  });
  return ` on top of ${texts.join(", ")}`;
}
