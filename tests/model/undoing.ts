/** The model of going back. */
import { Refusal } from "./refusal.ts";
import { type Operation, type Repository, type Step } from "./repository.ts";

/** Takes back what an operation did: what it touched goes to where it was before. */
export function reverse(repository: Repository, kind: "undo" | "redo", number: number): Step {
  const operation = repository.operations[number - 1];
  if (!operation) throw new Refusal("not-found", "no such operation");
  const { changes, bookmarks } = operation.effects;
  if (changes.size + bookmarks.size === 0) throw new Refusal("usage", "it moved nothing");
  if (undone(repository).has(number)) throw new Refusal("conflict", "it is undone already");
  const step: Step = { ...repository.begin(kind), reverses: number };
  for (const [name, { before, after }] of changes) {
    const change = repository.change(name);
    const { version, hidden } = before ?? { ...after, hidden: true };
    step.places.set(name, { at: change.versions[version - 1]!, hidden });
  }
  for (const [bookmark, { before }] of bookmarks) step.bookmarks.set(bookmark, before);
  return step;
}

/** The user's last operation that moved something and is not undone. */
export function findUndoable(repository: Repository, user: string): number {
  const isReversal = ({ kind }: Operation) => kind === "undo" || kind === "redo";
  const found = own(repository, user).find((operation) => {
    const { changes, bookmarks } = operation.effects;
    return !isReversal(operation) && changes.size + bookmarks.size > 0;
  });
  if (!found) throw new Refusal("not-found", "nothing to undo");
  return found.number;
}

/** The user's last undo, if the user has only undone and redone since. */
export function findRedoable(repository: Repository, user: string): number {
  const found = own(repository, user).find(({ kind }) => kind !== "redo");
  if (found?.kind !== "undo") throw new Refusal("not-found", "nothing to redo");
  return found.number;
}

/** Everything as it was after an operation; what was created since is hidden. */
export function restore(repository: Repository, number: number): Step | undefined {
  if (number > repository.operations.length) throw new Refusal("not-found", "no such operation");
  const then = repository.statesAfter(number);
  const step = repository.begin("restore-operation");
  for (const { name, at, hidden, versions } of repository.changes.values()) {
    const was = then.changes.get(name) ?? { version: at.number, hidden: true };
    if (was.version === at.number && was.hidden === hidden) continue;
    step.places.set(name, { at: versions[was.version - 1]!, hidden: was.hidden });
  }
  const bookmarks = new Set([...repository.bookmarks.keys(), ...then.bookmarks.keys()]);
  for (const bookmark of bookmarks) {
    const was = then.bookmarks.get(bookmark) ?? null;
    if (was !== (repository.bookmarks.get(bookmark) ?? null)) step.bookmarks.set(bookmark, was);
  }
  return step.places.size + step.bookmarks.size === 0 ? undefined : step;
}

/** What a user did and nobody has undone, newest first. */
function own(repository: Repository, user: string): Operation[] {
  const gone = undone(repository);
  return repository.operations
    .filter((operation) => operation.user === user && !gone.has(operation.number))
    .reverse();
}

/** Operations that an undo or redo took back, which itself nothing took back. */
function undone(repository: Repository): Set<number> {
  const gone = new Set<number>();
  for (const { number, reverses } of repository.operations.toReversed()) {
    if (reverses !== undefined && !gone.has(number)) gone.add(reverses);
  }
  return gone;
}
