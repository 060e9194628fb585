import { newDraft } from "#client/change.ts";
import { changeRevision, isDraft } from "#client/revision.ts";
import type { CurrentChange } from "#client/state.ts";
import { workingCopyBase } from "#core/revision.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { draftJson } from "../draft-view.ts";
import { shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import { changeTo, openEditSession, type EditSession } from "../edit-session.ts";
import type { Style } from "../output.ts";
import { pushedBefore, publish } from "../push-view.ts";

export const newChange = command({
  meta: {
    description: "publish the working copy, then start a new change on top of it or of another",
    examples: ["pogo new", 'pogo new main -m "parser: accept empty lists"'],
  },
  args: {
    parent: {
      type: "positional",
      required: false,
      valueHint: "PARENT",
      description: "on top of (@)",
    },
    message: {
      type: "string",
      alias: "m",
      valueHint: "TEXT",
      description: "describe the new change",
    },
  },
  async run({ args, context }) {
    await using session = await openEditSession(context);
    // Asked first: a mistyped name must not publish anything.
    const named = await findParent(session, args.parent ?? workingCopyBase);
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

function parentsText({ parents }: CurrentChange, style: Style): string {
  if (parents.length === 0) return "";
  const texts = parents.map(({ change: name, prefix, description }) => {
    return `${shortName({ name, prefix }, style)} ${subject(description, style)}`;
  });
  return ` on top of ${texts.join(", ")}`;
}
