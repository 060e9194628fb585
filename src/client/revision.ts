/** Revisions as typed in a working copy: "@" is put into words that the server knows. */
import { PogoError } from "#core/errors.ts";
import { formatRevision, parseRevision, workingCopyBase } from "#core/revision.ts";
import type { CurrentChange } from "./state.ts";

/** Tells whether the server does not know the working copy's change yet. */
export function isDraft(current: CurrentChange): boolean {
  return current.version === 0;
}

/**
 * Writes a revision to look at so that the server understands it: "@" is the version that the
 * working copy holds, whatever others have pushed since. Nothing is returned for the draft itself,
 * which only this working copy knows.
 */
export function serverRevision(current: CurrentChange, text: string): string | undefined {
  const { base, steps } = parseRevision(text);
  if (base !== workingCopyBase || isDraft(current) || steps[0]?.kind === "version") {
    return changeRevision(current, text);
  }
  const held = { kind: "version", number: current.version } as const;
  return formatRevision({ base: current.name, steps: [held, ...steps] });
}

/** As `serverRevision`, to do something with a change: "@" is the change, as it is now. */
export function changeRevision(current: CurrentChange, text: string): string | undefined {
  const { base, steps } = parseRevision(text);
  const isOwn = base === workingCopyBase || base === current.name;
  if (!isOwn) return text;
  if (!isDraft(current)) return formatRevision({ base: current.name, steps });
  const [first, ...rest] = steps;
  if (first === undefined) return undefined;
  if (first.kind === "version") {
    throw new PogoError("not-found", "the draft in this working copy has no versions yet", {
      hint: "pogo push",
    });
  }
  if (first.distance === 0) return changeRevision(current, formatRevision({ base, steps: rest }));
  const parent = current.parents[0];
  if (!parent) throw new PogoError("not-found", `${text} is before the first change`);
  if (first.distance > 1) rest.unshift({ kind: "ancestor", distance: first.distance - 1 });
  return formatRevision({ base: parent.change, steps: rest });
}

/** As `changeRevision`, for what only published changes can do. */
export function publishedRevision(current: CurrentChange, text: string): string {
  const revision = changeRevision(current, text);
  if (revision !== undefined) return revision;
  throw new PogoError("not-found", "the draft in this working copy is not on the server yet", {
    hint: "pogo push",
  });
}
