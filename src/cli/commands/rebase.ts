import { newRequestId } from "#client/remote.ts";
import { PogoError } from "#core/errors.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { RebaseScope } from "#gen/pogo/v1/history.ts";
import { shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { openEditSession, type EditSession } from "../edit-session.ts";
import { followRewriting, publishAndFind, requireEdits } from "../rewriting-session.ts";
import { conflictHints, rewritingJson, rewritingLines } from "../rewriting-view.ts";

export const rebase = command({
  meta: {
    description: "put changes on top of others; what stands on them follows",
    examples: [
      "pogo rebase -d main",
      "pogo rebase -s kxyz -d main",
      "pogo rebase -r @ -d main -d kxyz",
    ],
  },
  args: {
    revision: {
      type: "string",
      alias: "r",
      valueHint: "REV",
      description: "only this change: what stands on it goes to its parents",
    },
    source: {
      type: "string",
      alias: "s",
      valueHint: "REV",
      description: "this change and all that stands on it",
    },
    branch: {
      type: "string",
      alias: "b",
      valueHint: "REV",
      description: "with all its ancestors that DEST does not have (@)",
    },
    destination: {
      type: "string",
      alias: "d",
      required: true,
      valueHint: "DEST",
      description: "the new parent; given several times: the parents of a merge",
    },
  },
  repeated: "destination",
  async run({ args, rest, context }) {
    const { scope, text } = readScope(args);
    await using session = await openEditSession(context);
    const destinations = [args.destination, ...rest];
    const { pushed, changes } = await publishAndFind(session, context, [text, ...destinations]);
    const [named, ...parents] = changes;
    const what = named ?? (await parentOfDraft(session, scope === RebaseScope.REBASE_SCOPE_BRANCH));
    const onto = parents.map((parent) => requireEdits(parent, "stand on"));
    const rewriting = await session.remote.rebaseChanges({
      requestId: newRequestId(),
      scope,
      revision: what.name,
      destinations: onto.map(({ name }) => name),
    });
    await followRewriting(session, context);
    report(context, { rewriting, onto, pushed, current: session.current.name });
  },
});

type Done = Pick<Awaited<ReturnType<typeof publishAndFind>>, "pushed"> & {
  rewriting: Parameters<typeof rewritingJson>[0];
  onto: Change[];
  current: string;
};

function report(context: Context, { rewriting, onto, pushed, current }: Done): void {
  context.report({ ...rewritingJson(rewriting), pushed: pushed.value }, (style) => {
    const names = onto.map((parent) => {
      return `${shortName(parent, style)} ${subject(parent.description, style)}`;
    });
    const where = names.join(", ");
    if (rewriting.count === 0)
      return `${pushed.text(style)}nothing to do: it is on ${where} already`;
    const lines = rewritingLines(rewriting, "rebased", style);
    lines.push(`onto ${where}`, ...conflictHints(rewriting, current));
    return pushed.text(style) + lines.join("\n");
  });
}

function readScope(args: {
  revision?: string | undefined;
  source?: string | undefined;
  branch?: string | undefined;
}): { scope: RebaseScope; text: string } {
  const { revision, source, branch } = args;
  const given = [revision, source, branch].filter((text) => text !== undefined);
  if (given.length > 1) {
    throw new PogoError("usage", "only one of -r, -s and -b says what to rebase", {
      hint: "pogo rebase --help",
    });
  }
  if (revision !== undefined) return { scope: RebaseScope.REBASE_SCOPE_CHANGE, text: revision };
  if (source !== undefined) return { scope: RebaseScope.REBASE_SCOPE_SOURCE, text: source };
  return { scope: RebaseScope.REBASE_SCOPE_BRANCH, text: branch ?? "@" };
}

/** A draft that is still empty stands for what it is on top of, and follows. */
async function parentOfDraft({ remote, current }: EditSession, isBranch: boolean): Promise<Change> {
  const [parent] = current.parents;
  if (isBranch && parent) return await remote.getChange(parent.change);
  return requireEdits(undefined, "rebase");
}
