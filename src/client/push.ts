/**
 * Publishes the working copy as a version of its change. Bytes first, names last: contents, then
 * trees, then one commit. What the commit was is written down before it is sent, so that a push
 * that was killed before it heard the answer is asked for again, not made twice.
 */
import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey, type Hash } from "#core/hash.ts";
import { CommitOutcome } from "#gen/pogo/v1/push.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { Rewriting } from "#gen/pogo/v1/history.ts";
import { newChangeName, publishedChange } from "./change.ts";
import { newRequestId, type Remote } from "./remote.ts";
import { repairContents } from "./repair.ts";
import { isDraft } from "./revision.ts";
import { baseTree, moveBase, type KnownStats, type TreeSource } from "./state-directories.ts";
import type { PendingPush } from "./state.ts";
import { uploadFiles, type UploadFile, type UploadObserver, type UploadResult } from "./upload.ts";
import { pruneConflicts } from "./working-copy/conflict-records.ts";
import { scan, type Difference, type Scan } from "./working-copy/scan.ts";
import { allTrees, buildTrees, knownStats, type BuiltTrees } from "./working-copy/trees.ts";
import type { Workspace } from "./workspace.ts";

export type Outcome =
  "unchanged" | "created" | "version-added" | "child-created" | "rewritten" | "diverged";

export type PushResult = {
  outcome: Outcome;
  /** Paths that the push published. */
  differences: Difference[];
  /** What had to be sent. */
  sent: { objects: number; bytes: number; trees: number };
  /** What the server had lost and was sent again, if that was asked for. */
  repaired?: UploadResult | undefined;
  /** The change that the working copy is at now; nothing for a draft that was not pushed. */
  change: Change | undefined;
  /** What a new change was made on is gone: it stands on what that stood on. */
  isMoved?: boolean | undefined;
  /** When diverged: the change as others see it. */
  theirs: Change | undefined;
  /** When rewritten: what became of the change, and of what stands on it. */
  rewriting?: Rewriting | undefined;
};

type Committed = Pick<PushResult, "outcome" | "change" | "isMoved" | "theirs" | "rewriting">;

export type PushOptions = {
  /** Replaces the description. */
  description?: string | undefined;
  /** Puts the edits into the change itself even if it is sealed. */
  rewrite?: boolean;
  /** Publishes files that the ignore files ignore, too. */
  includeIgnored?: boolean;
  /** Sends what the server has lost of the files that do not differ, too. */
  repair?: boolean;
  /** Told of what will be sent. */
  observer?: (files: readonly UploadFile[]) => UploadObserver;
};

const outcomes: Record<CommitOutcome, Outcome> = {
  [CommitOutcome.COMMIT_OUTCOME_UNSPECIFIED]: "unchanged",
  [CommitOutcome.COMMIT_OUTCOME_UNCHANGED]: "unchanged",
  [CommitOutcome.COMMIT_OUTCOME_CREATED]: "created",
  [CommitOutcome.COMMIT_OUTCOME_VERSION_ADDED]: "version-added",
  [CommitOutcome.COMMIT_OUTCOME_CHILD_CREATED]: "child-created",
  [CommitOutcome.COMMIT_OUTCOME_DIVERGED]: "diverged",
  [CommitOutcome.COMMIT_OUTCOME_REWRITTEN]: "rewritten",
};

// Below this a collection takes longer than it is worth.
const collectedDifferencesMin = 10_000;

const nothingSent = { objects: 0, bytes: 0, trees: 0 };

/** Publishes what differs. The caller holds the lock of the working copy. */
export async function push(
  parts: { workspace: Workspace; remote: Remote },
  options: PushOptions = {},
): Promise<PushResult> {
  const { workspace } = parts;
  const finished = await finishPendingPush(parts);
  if (finished?.outcome === "diverged") {
    return { ...finished, differences: [], sent: nothingSent };
  }
  const found = scan(workspace, options);
  const { current } = workspace.state;
  const { differences } = found;
  const observe = options.observer ?? (() => ({ add() {} }));
  const repaired = options.repair ? await repairContents(parts, found, observe) : undefined;
  refuseUnfinished(found);
  const description = options.description ?? (isDraft(current) ? current.description : undefined);
  const isDescribed = isDraft(current)
    ? description !== ""
    : description !== undefined && description !== current.description;
  if (differences.length === 0 && !isDescribed) {
    const [change, theirs] = [undefined, undefined];
    const unchanged = { outcome: "unchanged", change, theirs } as const;
    return { ...(finished ?? unchanged), differences, sent: nothingSent, repaired };
  }
  const sent = await sendContents(parts, found, observe);
  // The contents are garbage now, and what follows needs the memory.
  if (differences.length > collectedDifferencesMin) Bun.gc(true);
  const trees = buildTrees(workspace, found);
  const again = await sendTrees(parts, found, trees, observe);
  const pending: PendingPush = {
    requestId: newRequestId(),
    change: current.name,
    expectedVersion: current.version,
    tree: trees.root,
    parents: isDraft(current) ? current.parents : [],
    description,
    child: newChangeName(),
    rewrite: options.rewrite === true,
  };
  workspace.state.setPendingPush(pending);
  const encoded = new Map(trees.encoded.map(({ hash, bytes }) => [hashKey(hash), bytes]));
  const source: TreeSource = (hash) => encoded.get(hashKey(hash));
  const committed = await commit(parts, pending, source, knownStats(workspace, found));
  const objects = sent.objects + again.objects;
  const bytes = sent.bytes + again.bytes;
  return { ...committed, differences, sent: { objects, bytes, trees: again.trees }, repaired };
}

/**
 * Asks again for the answer to a commit that was sent; a killed push is whole afterwards. What the
 * server does not know of any more is for the next push to send.
 */
export async function finishPendingPush(parts: {
  workspace: Workspace;
  remote: Remote;
}): Promise<Committed | undefined> {
  const { workspace, remote } = parts;
  const pending = workspace.state.pendingPush;
  if (!pending) return undefined;
  const missing = await remote.findMissing([], [pending.tree]);
  if (missing.trees.length > 0) {
    // The server is older than the push, as after it was restored from a backup.
    workspace.state.setPendingPush(undefined);
    return undefined;
  }
  const trees = new Map<string, Uint8Array>();
  for await (const { hash, bytes } of remote.getTrees(pending.tree, workspace.state.current.tree)) {
    trees.set(hashKey(hash), bytes);
  }
  return await commit(parts, pending, (hash) => trees.get(hashKey(hash)), {});
}

function refuseUnfinished({ unfinished }: Scan): void {
  const [path] = unfinished;
  if (path === undefined) return;
  throw new PogoError("conflict", `${JSON.stringify(path)} still has conflict markers`, {
    hint: `edit them away, or take one side: pogo resolve ${path} --side NAME`,
  });
}

async function sendContents(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  { differences }: Scan,
  observe: (files: readonly UploadFile[]) => UploadObserver,
): Promise<UploadResult> {
  const files = differences.flatMap(({ path, before, after }) => {
    const known = before?.kind === "file" ? before : undefined;
    return after?.kind === "file" ? [{ path, file: after, before: known }] : [];
  });
  return await uploadFiles({ remote, root: workspace.root }, files, observe(files));
}

/**
 * Sends the trees that the server lacks. It may lack more than what differs: where the base was
 * replaced so long ago that it gave that up. Then all of the working copy is sent.
 */
async function sendTrees(
  parts: { workspace: Workspace; remote: Remote },
  found: Scan,
  trees: BuiltTrees,
  observe: (files: readonly UploadFile[]) => UploadObserver,
): Promise<{ objects: number; bytes: number; trees: number }> {
  const { workspace, remote } = parts;
  const { root, encoded } = trees;
  // The base's own, when nothing but the description is new.
  const old = baseTree(workspace.state, root);
  const built = old ? [...encoded, { hash: root, bytes: old }] : encoded;
  try {
    return { ...nothingSent, trees: await putMissing(remote, built) };
  } catch (error) {
    if (!isPogoError(error, "not-found")) throw error;
    const { objects, bytes } = await repairContents(parts, found, observe);
    return { objects, bytes, trees: await putMissing(remote, allTrees(workspace, trees)) };
  }
}

async function putMissing(
  remote: Remote,
  trees: { hash: Hash; bytes: Uint8Array }[],
): Promise<number> {
  if (trees.length === 0) return 0;
  const hashes = trees.map(({ hash }) => hash);
  const missing = await remote.findMissing([], hashes);
  const wanted = missing.trees.map((index) => trees[index]).filter((tree) => tree !== undefined);
  if (wanted.length > 0) await remote.putTrees(wanted);
  return wanted.length;
}

async function commit(
  { workspace, remote }: { workspace: Workspace; remote: Remote },
  pending: PendingPush,
  trees: TreeSource,
  known: Partial<KnownStats>,
): Promise<Committed> {
  const { state } = workspace;
  try {
    const answer = await remote.commit({
      ...pending,
      parents: pending.parents.map((parent) => ({ ...parent, description: "", prefix: "" })),
    });
    const { change } = answer;
    if (!change) throw new Error("the server left out the change that it committed");
    moveBase(state, publishedChange(change), trees, known, () => state.setPendingPush(undefined));
    pruneConflicts(workspace);
    const { current: theirs, rewriting } = answer;
    const outcome = outcomes[answer.outcome];
    const isNew = outcome === "created" || outcome === "child-created";
    const parents = change.parents.map((parent) => parent.change);
    const isMoved = isNew && !Bun.deepEquals(parents, madeOn(pending));
    return { outcome, change, isMoved, theirs, rewriting };
  } catch (error) {
    // The server refused: there is no answer that could have been lost.
    if (isPogoError(error) && error.code !== "unavailable" && error.code !== "internal") {
      state.setPendingPush(undefined);
    }
    throw error;
  }
}

function madeOn({ change, expectedVersion, parents }: PendingPush): string[] {
  return expectedVersion === 0 ? parents.map((parent) => parent.change) : [change];
}
