/** What commands say of conflicts. */
import type { OpenConflict } from "#client/resolve.ts";
import { count } from "./change-view.ts";
import { fileLine } from "./file-view.ts";
import { quoteName, type Style } from "./output.ts";

const pathsShown = 20;

/** The paths that are in conflict, and what to do about them; nothing if there are none. */
export function conflictLines(paths: readonly string[], style: Style): string[] {
  if (paths.length === 0) return [];
  const lines = [`${count(paths.length, "file")} in conflict:`];
  for (const path of paths.slice(0, pathsShown)) {
    lines.push(fileLine({ path, status: "conflicted" }, style));
  }
  if (paths.length > pathsShown) lines.push(`  and ${paths.length - pathsShown} more`);
  lines.push(
    "edit the markers away, take one side (pogo resolve PATH --side NAME) or merge (--tool)",
  );
  return lines;
}

/** A conflict with its sides. */
export function formatConflict(conflict: OpenConflict, style: Style): string {
  const { path, sides, files, isUnfinished } = conflict;
  const names = sides.map(({ name, kind }, index) => {
    return `    ${index + 1} ${style.bold(name)} (${kind})`;
  });
  const note = isUnfinished ? " (edited, with markers yet)" : "";
  const where = files.filter((file) => file !== path).map((file) => `    ${quoteName(file)}`);
  return [fileLine({ path, status: "conflicted" }, style) + note, ...names, ...where].join("\n");
}
