/**
 * The revision language: a base, then steps.
 *
 *   main  kxyz  @      a bookmark, a change name or unique prefix, the working copy's change
 *   REV-               its first parent; REV-- the parent's parent
 *   REV~2              two first parents up
 *   REV@3              the third version that the change has had
 */
import { PogoError } from "./errors.ts";

export type RevisionStep =
  { kind: "ancestor"; distance: number } | { kind: "version"; number: number };

export type Revision = { base: string; steps: RevisionStep[] };

/** The revision that names the working copy's change. */
export const workingCopyBase = "@";

/** Reads a revision; the text is not looked up. */
export function parseRevision(text: string): Revision {
  const match = /^(@|[^@~\s]*?[^@~\s-])((?:-|~\d{1,9}|@\d{1,9})*)$/.exec(text);
  if (!match) {
    throw new PogoError("usage", `${JSON.stringify(text)} is not a revision`, {
      hint: "a bookmark, a change name or prefix, @, then -, ~N or @N: main, kxyz-, @~2, kxyz@3",
    });
  }
  const steps = [...(match[2] ?? "").matchAll(/-|~(\d+)|@(\d+)/g)].map(readStep);
  return { base: match[1] ?? "", steps };
}

/** Writes a revision as `parseRevision` reads it. */
export function formatRevision({ base, steps }: Revision): string {
  const texts = steps.map((step) => {
    if (step.kind === "version") return `@${step.number}`;
    return step.distance === 1 ? "-" : `~${step.distance}`;
  });
  return base + texts.join("");
}

function readStep(match: RegExpMatchArray): RevisionStep {
  if (match[2] !== undefined) return { kind: "version", number: Number(match[2]) };
  return { kind: "ancestor", distance: match[1] === undefined ? 1 : Number(match[1]) };
}
