/** Whether the server says what the model says. */
import type { Remote } from "#client/remote.ts";
import { toHex } from "#core/hash.ts";
import type { Change as Message } from "#gen/pogo/v1/common.ts";
import type { Observed, Snapshot } from "./observed.ts";
import { foreseen, type Change, type Operation, type Repository } from "./repository.ts";
import { equalFiles, holdsConflict, isUnknown, learn } from "./terms.ts";
import { isSealed } from "./verbs.ts";

type Snapshots = { read(remote: Remote, root: Uint8Array): Promise<Snapshot> };

/** Lists what differs. What the model could not foresee it learns here. */
export async function compare(
  repository: Repository,
  observed: Observed,
  { remote, user }: { remote: Remote; user: string },
  snapshots: Snapshots,
): Promise<string[]> {
  const differences: string[] = [];
  const say = (what: string, model: unknown, server: unknown) => {
    const [expected, found] = [JSON.stringify(model), JSON.stringify(server)];
    if (expected !== found) differences.push(`${what}: model ${expected}, server ${found}`);
  };
  const names = observed.changes.map(({ name }) => name);
  say("visible changes", [...repository.visible].sort(), names.toSorted());
  say("bookmarks", [...repository.bookmarks].sort(), [...observed.bookmarks].sort());
  compareLast(repository, observed, say);
  for (const message of observed.changes) {
    const change = repository.changes.get(message.name);
    if (!change || change.hidden) continue;
    differences.push(...(await compareFiles(change, message, { remote, snapshots })));
    say(`change ${message.name}`, toldOf(repository, change, user), told(message));
  }
  for (const name of repository.visible) {
    for (const { change } of repository.change(name).at.parents) {
      if (repository.change(change).hidden) differences.push(`${name} stands on hidden ${change}`);
    }
  }
  for (const [bookmark, name] of repository.bookmarks) {
    if (repository.change(name).hidden) differences.push(`${bookmark} points at hidden ${name}`);
  }
  return differences;
}

async function compareFiles(
  { at }: Change,
  { name, tree }: Message,
  { remote, snapshots }: { remote: Remote; snapshots: Snapshots },
): Promise<string[]> {
  const root = toHex(tree);
  if (at.root !== undefined)
    return at.root === root ? [] : [`${name} has another tree than before`];
  const { values } = await snapshots.read(remote, tree);
  foreseen.values += at.files.size;
  for (const [path, value] of at.files) {
    if (!isUnknown(value)) continue;
    foreseen.unknownValues++;
    const found = values.get(path);
    learn(value, found ?? "");
    if (found === undefined) at.files.delete(path);
    else at.files.set(path, found);
  }
  at.root = root;
  if (equalFiles(at.files, values)) return [];
  const paths = [...new Set([...at.files.keys(), ...values.keys()])].sort();
  const different = paths.filter((path) => at.files.get(path) !== values.get(path));
  return different.map((path) => {
    return `${name}@${at.number} ${path}: model ${at.files.get(path)}, server ${values.get(path)}`;
  });
}

function toldOf(repository: Repository, change: Change, user: string) {
  const { at, author, name } = change;
  return {
    version: at.number,
    currentVersion: at.number,
    description: at.description,
    author,
    versionAuthor: at.author === author ? "" : at.author,
    parents: at.parents.map((parent) => `${parent.change}@${parent.number}`),
    bookmarks: repository.bookmarksAt(name).sort(),
    conflicted: holdsConflict(at.files),
    sealed: isSealed(repository, change, user),
    hidden: false,
  };
}

function told(message: Message) {
  const { version, currentVersion, description, author, versionAuthor, parents } = message;
  const { bookmarks, conflicted, sealed, hidden } = message;
  return {
    version,
    currentVersion,
    description,
    author,
    versionAuthor,
    parents: parents.map((parent) => `${parent.change}@${parent.version}`),
    bookmarks,
    conflicted,
    sealed,
    hidden,
  };
}

function compareLast(
  { operations }: Repository,
  { last }: Observed,
  say: (what: string, model: unknown, server: unknown) => void,
): void {
  const expected = operations.at(-1);
  say("number of operations", expected?.number ?? 0, last?.number ?? 0);
  if (!expected || !last || expected.number !== last.number) return;
  say("kind and user", [expected.kind, expected.user], [last.kind, last.user]);
  say("effects", effectsOf(expected), {
    changes: last.effects.changes
      .map(({ change, before, after }) => [change, before, after])
      .sort(),
    bookmarks: last.effects.bookmarks
      .map(({ bookmark, before, after }) => [bookmark, before, after])
      .sort(),
  });
}

function effectsOf({ effects: { changes, bookmarks } }: Operation) {
  return {
    changes: [...changes].map(([name, { before, after }]) => [name, before, after]).sort(),
    bookmarks: [...bookmarks].map(([name, { before, after }]) => [name, before, after]).sort(),
  };
}
