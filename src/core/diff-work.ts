/**
 * How much work comparing texts may take. It is counted in steps rather than measured in time, so
 * that the same texts give the same result on every machine; when none is left the rest of a text
 * counts as changed, which is coarse but right.
 */

/** Steps that are left: of histogram diff, of its fallback, and of sliding hunks. */
export type DiffWork = { histogram: number; myers: number; slide: number };

/** What one comparison may take: a second or so, on texts made to be hard. */
export function newDiffWork(): DiffWork {
  return { histogram: 60_000_000, myers: 40_000_000, slide: 20_000_000 };
}

/** What it may take in a merge, which a server makes for many at once: a third of that. */
export function newMergeWork(): DiffWork {
  return { histogram: 20_000_000, myers: 12_000_000, slide: 10_000_000 };
}
