/** Merges, which the server makes. */
import type { Change } from "#gen/pogo/v1/common.ts";
import { SyncOutcome } from "#gen/pogo/v1/merge.ts";
import { newChangeName } from "./change.ts";
import { newRequestId, type Remote } from "./remote.ts";

export type SyncResult = {
  outcome:
    "in-sync" | "created" | "fast-forwarded" | "merged" | "rebased" | "behind" | "conflicted";
  change: Change;
  conflicts: string[];
  /** How many changes were rebased. */
  rebased: number;
};

/** How a bookmark and a change are to be brought together. */
export type SyncOptions = {
  /** Rebases instead of merging. */
  rebase?: boolean;
  /** Only says what would happen. */
  dryRun?: boolean;
};

const outcomes: Record<SyncOutcome, SyncResult["outcome"]> = {
  [SyncOutcome.SYNC_OUTCOME_UNSPECIFIED]: "in-sync",
  [SyncOutcome.SYNC_OUTCOME_IN_SYNC]: "in-sync",
  [SyncOutcome.SYNC_OUTCOME_CREATED]: "created",
  [SyncOutcome.SYNC_OUTCOME_FAST_FORWARDED]: "fast-forwarded",
  [SyncOutcome.SYNC_OUTCOME_MERGED]: "merged",
  [SyncOutcome.SYNC_OUTCOME_BEHIND]: "behind",
  [SyncOutcome.SYNC_OUTCOME_CONFLICTED]: "conflicted",
  [SyncOutcome.SYNC_OUTCOME_REBASED]: "rebased",
};

/** Creates a change that has several parents. */
export async function mergeChanges(
  remote: Remote,
  revisions: string[],
  description: string,
): Promise<{ change: Change; conflicts: string[] }> {
  const names = { requestId: newRequestId(), change: newChangeName() };
  const { change, conflicts } = await remote.mergeChanges({ ...names, revisions, description });
  return { change: change!, conflicts };
}

/** Brings a bookmark and a change together. */
export async function syncBookmark(
  remote: Remote,
  bookmark: string,
  revision: string,
  description: string,
  { rebase = false, dryRun = false }: SyncOptions = {},
): Promise<SyncResult> {
  const names = { requestId: newRequestId(), change: newChangeName() };
  const how = { description, rebase, dryRun };
  const answer = await remote.syncBookmark({ ...names, bookmark, revision, ...how });
  const { change, conflicts, rebased } = answer;
  return { outcome: outcomes[answer.outcome] ?? "in-sync", change: change!, conflicts, rebased };
}
