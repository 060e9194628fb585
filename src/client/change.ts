/** The working copy's change: made from what the server says, or as a new draft. */
import { changeName } from "#core/name.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { CurrentChange } from "./state.ts";

/** Makes a name that no other change has, as far as 64 random bits go. */
export function newChangeName(): string {
  return changeName(crypto.getRandomValues(new Uint8Array(8)));
}

/** What the working copy remembers of a published change. */
export function publishedChange(change: Change): CurrentChange {
  const { name, version, tree, description, prefix, bookmarks, sealed, conflicted } = change;
  const parents = change.parents.map((parent) => ({
    change: parent.change,
    version: parent.version,
    description: parent.description,
    prefix: parent.prefix,
  }));
  return {
    name,
    version,
    tree,
    parents,
    description,
    prefix,
    bookmarks,
    sealed,
    conflicted,
    ...(change.currentVersion !== version && { newestVersion: change.currentVersion }),
  };
}

/** Starts a draft on top of parents; its files are the first parent's. */
export function newDraft(parents: Change[], description = ""): CurrentChange {
  const name = newChangeName();
  return {
    name,
    version: 0,
    tree: parents[0]?.tree ?? emptyTreeHash,
    parents: parents.map((parent) => ({
      change: parent.name,
      version: parent.version,
      description: parent.description,
      prefix: parent.prefix,
    })),
    description,
    // Nobody else's name begins like this yet; the server knows better once it is pushed.
    prefix: name.slice(0, 4),
    bookmarks: [],
    sealed: false,
    conflicted: parents[0]?.conflicted ?? false,
  };
}
