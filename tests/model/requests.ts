/** Random requests: how each is made, and what the model says that it comes to. */
import { newChangeName } from "#client/change.ts";
import { newRequestId } from "#client/remote.ts";
import { toHex } from "#core/hash.ts";
import type { Entry } from "#core/tree.ts";
import { BookmarkServiceService as Bookmarks } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService as Changes } from "#gen/pogo/v1/change.ts";
import { RebaseScope } from "#gen/pogo/v1/history.ts";
import { SyncOutcome } from "#gen/pogo/v1/merge.ts";
import { CommitOutcome, type CommitResponse } from "#gen/pogo/v1/push.ts";
import type { Random } from "../support/random-files.ts";
import { newEntry, treesOf, valueOfEntry, type Blob, type Snapshot } from "./observed.ts";
import { Refusal } from "./refusal.ts";
import { type Repository, type Step, type Version } from "./repository.ts";
import { holdsConflict } from "./terms.ts";
import { findRedoable, findUndoable, restore, reverse } from "./undoing.ts";
import * as verbs from "./verbs.ts";
import { repositoryName as repository, type Client } from "./world.ts";

/** A request, made as often as need be. */
export type Action = {
  label: string;
  ask: (client: Client) => Promise<unknown>;
  /** What it comes to, asked once the answer is there; throws what must be refused. */
  foresee: (answer: unknown) => { outcome?: string; step: Step | undefined };
  /** What the answer says that it came to. */
  outcomeOf?: (answer: unknown) => string;
  /** The server may refuse it with this code and do nothing. */
  mayRefuse?: string;
  /** What is wrong with an answer that came at once. */
  check?: (answer: unknown) => string[];
  /** What the client knows then. */
  learn?: (step: Step | undefined, answer: unknown) => void;
};

export type Context = {
  random: Random;
  model: Repository;
  read: (client: Client, version: Version) => Promise<Snapshot>;
};

// None is a directory of another.
const paths = ["", "src/", "src/deep/", "doc/very/deep/"].flatMap((directory) => {
  return [..."abcdefg"].map((name) => directory + name);
});
const bookmarks = ["main", "main", "next", "v1"];
let written = 0;

/** Edits some paths, conflicts first; says what the snapshot becomes, and which objects are new. */
export function editFiles(
  random: Random,
  { entries }: Snapshot,
  isEditable: (entry: Entry | undefined) => boolean = () => true,
): { entries: Map<string, Entry>; blobs: Blob[]; edited: Map<string, Entry | undefined> } {
  const edited = new Map<string, Entry | undefined>();
  const blobs: Blob[] = [];
  const next = new Map(entries);
  const inConflict = paths.filter((path) => entries.get(path)?.kind === "conflict");
  const some = Array.from({ length: 1 + random.next(3) }, () => {
    return random.pick(inConflict.length > 0 && random.next(10) < 7 ? inConflict : paths);
  });
  // Now and then somebody clears up, or there would be nothing but conflicts.
  for (const path of random.next(2) === 0 && inConflict.length > 0 ? inConflict : some) {
    if (!isEditable(entries.get(path))) continue;
    const kind = random.next(20);
    if (kind < 3 && entries.has(path)) {
      next.delete(path);
      edited.set(path, undefined);
      continue;
    }
    const text = `${++written} ${Array.from({ length: 8 }, () => random.next(2 ** 31)).join("-")}`;
    const made = newEntry(kind < 5 ? "link" : kind < 7 ? "run" : "file", text);
    const name = path.slice(path.lastIndexOf("/") + 1);
    next.set(path, { ...made.entry, name });
    edited.set(path, { ...made.entry, name });
    if (made.blob) blobs.push(made.blob);
  }
  return { entries: next, blobs, edited };
}

/** Publishes files that were made from what the client knows, or as a new change. */
export async function drawCommit(
  { random, model, read }: Context,
  client: Client,
  isNew: boolean,
): Promise<Action> {
  const known = client.at;
  const expected = isNew ? undefined : known;
  const main = model.bookmarks.get("main");
  const isElsewhere = isNew && model.visible.size > 0 && random.next(3) > 0;
  let first = isElsewhere ? soundVersion(random, model) : known;
  if (isNew && main !== undefined && random.next(3) === 0) first = model.change(main).at;
  const parents = expected || !first || random.next(40) === 0 ? [] : [first];
  const start = expected ?? parents[0];
  const before = start ? await read(client, start) : { values: new Map(), entries: new Map() };
  const { entries, blobs } = editFiles(random, before);
  const trees = treesOf(entries);
  const asked: verbs.Commit = {
    change: expected?.change ?? newChangeName(),
    expected,
    parents,
    files: new Map([...entries].map(([path, entry]) => [path, valueOfEntry(entry)])),
    root: toHex(trees.at(-1)!.hash),
    description: random.next(4) === 0 ? `text ${random.next(1000)}` : undefined,
    child: newChangeName(),
    rewrite: random.next(3) === 0,
  };
  const request = {
    requestId: newRequestId(),
    change: asked.change,
    expectedVersion: expected?.number ?? 0,
    tree: trees.at(-1)!.hash,
    parents: parents.map(({ change, number }) => ({ ...refOf(change), version: number })),
    description: asked.description,
    child: asked.child,
    rewrite: asked.rewrite,
  };
  const on = expected ? `${asked.change}@${expected.number}` : `new on ${nameOf(parents)}`;
  return {
    label: `commit ${on}${asked.rewrite ? " --rewrite" : ""}`,
    ask: async ({ remote }) => {
      if (blobs.length > 0) await remote.putObjects(blobs);
      await remote.putTrees(trees);
      return await remote.commit(request);
    },
    foresee: () => verbs.commit(model, client.user, asked),
    outcomeOf: (answer) => commitOutcome(answer as CommitResponse),
    learn: (step) => {
      const made = step?.versions.find(({ change }) =>
        [asked.change, asked.child].includes(change),
      );
      if (made) made.root = asked.root!;
      client.at = made ?? model.change(asked.change).at;
    },
  };
}

/** What the protocol calls the outcome of a commit. */
export function commitOutcome({ outcome }: CommitResponse): string {
  return wordOf(CommitOutcome, outcome).replace("COMMIT_OUTCOME_", "");
}

/** A merge of two or three changes. */
export function drawMerge({ random, model }: Context, client: Client): Action {
  const names = crossed(random, model) ?? randomNames(random, model, random.next(4) === 0 ? 3 : 2);
  const change = newChangeName();
  const description = `merge ${names.length}`;
  const request = { requestId: newRequestId(), revisions: names, description, change };
  return {
    label: `merge ${names.join(" ")}`,
    ask: ({ remote }) => remote.mergeChanges(request),
    foresee: () => ({ step: verbs.merge(model, client.user, { names, change, description }) }),
    learn: (step) => void (client.at = step?.versions[0] ?? client.at),
  };
}

/** What was merged before, merged again the other way round; or two such merges. */
function crossed(random: Random, model: Repository): string[] | undefined {
  if (random.next(8) > 0) return undefined;
  const merges = [...model.visible].map((name) => model.change(name).at).filter(isMerge);
  if (merges.length === 0) return undefined;
  const one = random.pick(merges);
  const namesOf = ({ parents }: Version) => parents.map(({ change }) => change);
  const parents = namesOf(one).sort().join();
  const twin = merges.find((other) => other !== one && namesOf(other).sort().join() === parents);
  if (twin) return [one.change, twin.change];
  const names = namesOf(one).reverse();
  return names.every((name) => model.visible.has(name)) ? names : undefined;
}

function isMerge({ parents }: Version): boolean {
  return parents.length > 1;
}

/** A change and a bookmark, brought together. */
export function drawSync({ random, model }: Context, client: Client): Action {
  const [known, bookmark] = [client.at?.change, random.pick(bookmarks)];
  const isOwn =
    known !== undefined &&
    !model.change(known).hidden &&
    !holdsConflict(model.change(known).at.files) &&
    random.next(2) === 0;
  const name = isOwn ? known : soundVersion(random, model).change;
  const asked = { bookmark, name, change: newChangeName(), rebase: random.next(3) === 0 };
  const request = { requestId: newRequestId(), bookmark, revision: name, description: "" };
  const { change, rebase } = asked;
  return {
    label: `sync ${name} with ${bookmark}${rebase ? " --rebase" : ""}`,
    ask: ({ remote }) => remote.syncBookmark({ ...request, change, rebase }),
    foresee: (answer) =>
      verbs.sync(model, client.user, asked, answer === undefined ? undefined : syncOutcome(answer)),
    outcomeOf: syncOutcome,
  };
}

function syncOutcome(answer: unknown): string {
  const { outcome } = answer as { outcome: SyncOutcome };
  return wordOf(SyncOutcome, outcome).replace("SYNC_OUTCOME_", "");
}

/** A rebase of any scope. */
export function drawRebase({ random, model }: Context, client: Client): Action {
  const [name, ...destinations] = randomNames(random, model, random.next(8) === 0 ? 3 : 2);
  const scope = random.pick(["CHANGE", "SOURCE", "BRANCH"] as const);
  const asked = { scope, name: name!, destinations };
  const request = {
    requestId: newRequestId(),
    scope: RebaseScope[`REBASE_SCOPE_${scope}`],
    revision: name!,
    destinations,
  };
  return {
    label: `rebase ${scope} ${name} onto ${destinations.join(" ")}`,
    ask: ({ remote }) => remote.rebaseChanges(request),
    foresee: () => ({ step: verbs.rebase(model, client.user, asked) }),
  };
}

/** A squash, mostly of a change into its parent. */
export function drawSquash({ random, model }: Context, client: Client): Action {
  let [from, into] = randomNames(random, model, 2) as [string, string];
  const [parent] = model.change(from).at.parents;
  if (parent && random.next(4) > 0) into = parent.change;
  const picked = random.next(3) === 0 ? [random.pick([...paths, "src", "doc"])] : [];
  const description = random.next(4) === 0 ? `squashed ${random.next(1000)}` : undefined;
  const asked = { from, into, paths: picked, description };
  const request = { requestId: newRequestId(), ...asked };
  return {
    label: `squash ${from} into ${into} ${picked.join(" ")}`,
    ask: ({ remote }) => remote.squashChange(request),
    foresee: () => ({ step: verbs.squash(model, client.user, asked) }),
  };
}

/** A removed change. */
export function drawRemove({ random, model }: Context, client: Client): Action {
  const { change: revision } = randomVersion(random, model);
  const request = { repository, requestId: newRequestId(), revision };
  return {
    label: `rm ${revision}`,
    ask: ({ channel, connection: { signal } }) =>
      channel.unary(Changes.removeChange, request, { signal }),
    foresee: () => ({ step: verbs.remove(model, client.user, revision) }),
  };
}

/** A description, now and then the one that is there. */
export function drawDescribe({ random, model }: Context, client: Client): Action {
  const { change: revision, description: before } = randomVersion(random, model);
  const description = random.next(6) === 0 ? before : `text ${random.next(1000)}`;
  const request = { repository, requestId: newRequestId(), revision, description };
  return {
    label: `describe ${revision}`,
    ask: ({ channel, connection: { signal } }) =>
      channel.unary(Changes.describeChange, request, { signal }),
    foresee: () => ({ step: verbs.describe(model, client.user, revision, description) }),
  };
}

/** A bookmark that is created, moved or deleted. */
export function drawBookmark({ random, model }: Context): Action {
  const name = random.pick(bookmarks);
  const requestId = newRequestId();
  if (random.next(5) === 0) {
    const request = { repository, requestId, name };
    return {
      label: `bookmark delete ${name}`,
      ask: ({ channel, connection: { signal } }) =>
        channel.unary(Bookmarks.deleteBookmark, request, { signal }),
      foresee: () => ({ step: verbs.deleteBookmark(model, name) }),
    };
  }
  const { change: revision } = soundVersion(random, model);
  const guesses = [undefined, model.bookmarks.get(name) ?? "", "", revision];
  const expectedChange = random.pick(guesses);
  const request = { repository, requestId, name, revision, expectedChange };
  return {
    label: `bookmark set ${name} ${revision}, expecting ${expectedChange}`,
    ask: ({ channel, connection: { signal } }) =>
      channel.unary(Bookmarks.setBookmark, request, { signal }),
    foresee: () => ({ step: verbs.setBookmark(model, name, revision, expectedChange) }),
  };
}

type Reversed = { undone?: { number: number }; redone?: { number: number } };

/** An undo of one's own last operation, or of any. */
export function drawUndo({ random, model }: Context, client: Client): Action {
  const last = model.operations.length;
  const number = random.next(3) > 0 ? 0 : Math.max(1, last - random.next(12));
  const request = { requestId: newRequestId(), number };
  let subject = number;
  return {
    label: `undo ${number || ""}`,
    ask: ({ remote }) => remote.undoOperation(request),
    foresee: () => {
      subject = number || findUndoable(model, client.user);
      return { outcome: `${subject}`, step: reverse(model, "undo", subject) };
    },
    outcomeOf: (answer) => `${(answer as Reversed).undone?.number}`,
    mayRefuse: "conflict",
  };
}

/** What was undone last, done again. */
export function drawRedo({ model }: Context, client: Client): Action {
  const request = { requestId: newRequestId() };
  return {
    label: "redo",
    ask: ({ remote }) => remote.redoOperation(request),
    foresee: () => {
      const undo = findRedoable(model, client.user);
      const { reverses } = model.operations[undo - 1]!;
      return { outcome: `${reverses}`, step: reverse(model, "redo", undo) };
    },
    outcomeOf: (answer) => `${(answer as Reversed).redone?.number}`,
    mayRefuse: "conflict",
  };
}

/** Everything as it was after an operation. */
export function restoreTo({ model }: Context, number: number): Action {
  const request = { requestId: newRequestId(), number };
  return {
    label: `op restore ${number}`,
    ask: ({ remote }) => remote.restoreOperation(request),
    foresee: () => ({ step: restore(model, number) }),
  };
}

/** The inverse of a change, on top of another. */
export function drawRevert({ random, model }: Context, client: Client): Action {
  const [revision, destination] = randomNames(random, model, 2) as [string, string];
  const request = { requestId: newRequestId(), revision, destination };
  return {
    label: `revert ${revision} on ${destination}`,
    ask: ({ remote }) => remote.revertChange(request),
    foresee: (answer) => {
      const { name = "" } = (answer ?? {}) as { name?: string };
      return { step: verbs.revert(model, client.user, { revision, destination, name }) };
    },
  };
}

/** A change that can be named. */
export function randomVersion(random: Random, model: Repository): Version {
  return model.change(random.pick([...model.visible])).at;
}

/** Mostly a change without conflicts, or nothing would ever land. */
function soundVersion(random: Random, model: Repository): Version {
  for (let tries = random.next(12); tries > 0; tries--) {
    const version = randomVersion(random, model);
    if (!holdsConflict(version.files)) return version;
  }
  return randomVersion(random, model);
}

function randomNames(random: Random, model: Repository, count: number): string[] {
  const names = [...model.visible];
  const picked: string[] = [];
  while (picked.length < count && names.length > 0) {
    picked.push(names.splice(random.next(names.length), 1)[0]!);
  }
  if (picked.length < 2) throw new Refusal("usage", "too few changes");
  return picked;
}

function refOf(change: string) {
  return { change, description: "", prefix: "" };
}

function nameOf(versions: readonly Version[]): string {
  return versions.map(({ change, number }) => `${change}@${number}`).join(" ") || "nothing";
}

function wordOf(words: Record<string, number>, value: number): string {
  return Object.keys(words).find((word) => words[word] === value) ?? `${value}`;
}
