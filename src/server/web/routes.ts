/** Finds routes by their paths: a name in braces stands for a part that may be anything. */
export type FoundRoute = { route: string; parameters: Record<string, string> };

/**
 * Finds the route of a path as it was sent. The parts between slashes are decoded, and must be
 * plain names then: one that holds a slash, or leads upwards, is no path here. Only the last part
 * of a route may stand for several.
 */
export function findRoute(routes: readonly string[], path: string): FoundRoute | undefined {
  const names = decodeParts(path);
  if (!names) return undefined;
  for (const route of routes) {
    const parameters = match(route.slice(1).split("/"), names);
    if (parameters) return { route, parameters };
  }
  return undefined;
}

function decodeParts(path: string): string[] | undefined {
  if (!path.startsWith("/")) return undefined;
  try {
    const names = path.slice(1).split("/").map(decodeURIComponent);
    const isPlain = (name: string) => !/[/\\\0]/.test(name) && name !== "." && name !== "..";
    return names.every(isPlain) ? names : undefined;
  } catch {
    return undefined;
  }
}

function match(
  pattern: readonly string[],
  names: readonly string[],
): Record<string, string> | undefined {
  if (names.length < pattern.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const isLast = index === pattern.length - 1;
    const name = isLast ? names.slice(index).join("/") : names[index]!;
    const key = /^\{(\w+)\}$/.exec(part)?.[1];
    if (key === undefined ? part !== name : name === "") return undefined;
    if (key !== undefined) parameters[key] = name;
  }
  return parameters;
}
