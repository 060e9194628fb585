/** How a draft looks, which the server does not know yet. */
import type { CurrentChange } from "#client/state.ts";
import { indentedDescription, shortName } from "./change-view.ts";
import type { Style } from "./output.ts";

/** A draft for programs, in the shape of a change. */
export function draftJson(current: CurrentChange) {
  return {
    name: current.name,
    prefix: current.prefix,
    description: current.description,
    author: null,
    parents: current.parents.map(({ change }) => change),
    bookmarks: [],
    createdAt: null,
    updatedAt: null,
    conflicted: false,
    sealed: false,
    draft: true,
  };
}

/** A draft as an entry of the log. */
export function formatDraft(current: CurrentChange, style: Style): string {
  const head = `${style.bold(style.green("@"))} ${shortName(current, style)} ${style.yellow("draft")}`;
  return `${head}\n${indentedDescription(current.description, style)}`;
}
