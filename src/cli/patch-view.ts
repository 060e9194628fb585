/** Colors for patches. */
import type { Style } from "./output.ts";

/** Paints the lines of a patch; without color the bytes stay as they are. */
export function paintPatch(patch: Uint8Array, style: Style): Uint8Array | string {
  if (style.bold("x") === "x") return patch;
  let isInHunk = false;
  const lines = Buffer.from(patch).toString().split("\n");
  const painted = lines.map((line) => {
    if (line.startsWith("diff --git ")) isInHunk = false;
    if (line.startsWith("@@ ")) {
      isInHunk = true;
      return style.cyan(line);
    }
    if (!isInHunk) return line === "" ? line : style.bold(line);
    if (line.startsWith("+")) return style.green(line);
    return line.startsWith("-") ? style.red(line) : line;
  });
  return painted.join("\n");
}
