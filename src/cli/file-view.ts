/** How a path that differs looks. */
import { quoteName, type Style } from "./output.ts";

export type FileStatus = { path: string; status: "added" | "modified" | "deleted" | "conflicted" };

const marks: Record<FileStatus["status"], { letter: string; color: "green" | "yellow" | "red" }> = {
  added: { letter: "A", color: "green" },
  modified: { letter: "M", color: "yellow" },
  deleted: { letter: "D", color: "red" },
  conflicted: { letter: "C", color: "red" },
};

/** A path with a letter for what happened to it. */
export function fileLine({ path, status }: FileStatus, style: Style): string {
  const { letter, color } = marks[status];
  return `  ${style[color](letter)} ${quoteName(path)}`;
}
