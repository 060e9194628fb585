/** Editing history, which the server does, and where it leaves the working copy. */
import type { Change, VersionRef } from "#gen/pogo/v1/common.ts";
import {
  HistoryServiceService as Histories,
  type DuplicateChangesRequest,
  type RebaseChangesRequest,
  type RevertChangeRequest,
  type Rewriting,
  type SplitChangeRequest,
  type SquashChangeRequest,
} from "#gen/pogo/v1/history.ts";
import type { CallSettings, Channel } from "#rpc/channel.ts";
import { newDraft, publishedChange } from "./change.ts";
import { checkChange, present } from "./received.ts";
import type { Remote } from "./remote.ts";
import { isDraft } from "./revision.ts";
import type { CurrentChange } from "./state.ts";
import type { Workspace } from "./workspace.ts";

type Arguments<Request> = Omit<Request, "repository">;

/** The calls that edit history, of one repository. */
export function historyCalls(channel: Channel, repository: string, settings: CallSettings) {
  return {
    rebaseChanges: async (request: Arguments<RebaseChangesRequest>): Promise<Rewriting> => {
      const asked = { repository, ...request };
      return checkRewriting(
        (await channel.unary(Histories.rebaseChanges, asked, settings)).rewriting,
      );
    },
    squashChange: async (request: Arguments<SquashChangeRequest>): Promise<Rewriting> => {
      const asked = { repository, ...request };
      return checkRewriting(
        (await channel.unary(Histories.squashChange, asked, settings)).rewriting,
      );
    },
    splitChange: async (request: Arguments<SplitChangeRequest>) => {
      const asked = { repository, ...request };
      const answer = await channel.unary(Histories.splitChange, asked, settings);
      return {
        rewriting: checkRewriting(answer.rewriting),
        first: checkChange(answer.first),
        second: checkChange(answer.second),
      };
    },
    revertChange: async (request: Arguments<RevertChangeRequest>): Promise<Change> => {
      const asked = { repository, ...request };
      return checkChange((await channel.unary(Histories.revertChange, asked, settings)).change);
    },
    duplicateChanges: async (request: Arguments<DuplicateChangesRequest>): Promise<Rewriting> => {
      const asked = { repository, ...request };
      const answer = await channel.unary(Histories.duplicateChanges, asked, settings);
      return checkRewriting(answer.rewriting);
    },
  };
}

/** Refuses what does not say what became of changes. */
export function checkRewriting(rewriting: Rewriting | undefined): Rewriting {
  const checked = present(rewriting);
  for (const change of [...checked.changes, ...checked.hidden]) checkChange(change);
  return checked;
}

/**
 * Finds where the working copy's change is now. `moved` says by name which changes others stand
 * in the place of; in that of one that is hidden stand its parents.
 */
export async function findRewritten(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  moved: ReadonlyMap<string, string> = new Map(),
): Promise<CurrentChange> {
  const { current } = workspace.state;
  if (!isDraft(current)) {
    const name = moved.get(current.name) ?? current.name;
    return publishedChange(await remote.getChange(name));
  }
  const parents = await standing(remote, current.parents, moved);
  const draft = newDraft(parents, current.description);
  return { ...draft, name: current.name, prefix: current.prefix };
}

async function standing(
  remote: Remote,
  refs: readonly Pick<VersionRef, "change" | "version">[],
  moved: ReadonlyMap<string, string>,
): Promise<Change[]> {
  const found = new Map<string, Change>();
  for (const { change: name, version } of refs) {
    const instead = moved.get(name);
    const change = await remote.getChange(instead ?? `${name}@${version}`);
    const parents = change.hidden
      ? await standing(remote, change.parents, moved)
      : [change.version === change.currentVersion ? change : await remote.getChange(change.name)];
    for (const parent of parents) found.set(parent.name, parent);
  }
  return [...found.values()];
}
