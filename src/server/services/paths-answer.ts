import { answerBytes } from "#core/limits.ts";

/** As many paths as fit in an answer. */
export function fittingPaths(paths: readonly string[]): string[] {
  let bytes = 0;
  return paths.filter((path) => (bytes += Buffer.byteLength(path) + 8) < answerBytes);
}
