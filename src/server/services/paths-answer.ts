// Half a message: the change fits too.
const answerBytes = 512 * 1024;

/** As many paths as fit in an answer. */
export function fittingPaths(paths: readonly string[]): string[] {
  let bytes = 0;
  return paths.filter((path) => (bytes += Buffer.byteLength(path) + 8) < answerBytes);
}
