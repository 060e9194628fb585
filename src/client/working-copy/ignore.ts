/**
 * Which untracked paths are ignored: `.gitignore`, then `.pogoignore`, of each directory from the
 * root down to the path's own, matched with git's rules. The deepest file that says anything
 * decides, and in it the last line that matches.
 *
 * The scanner asks from the top down and never below an ignored directory, so that each level is
 * asked about the path itself only. `key` names the rules that hold in a directory: while it stays
 * the same, what was ignored there still is.
 */
import ignore, { type Ignore } from "ignore";
import { sha256, toHex } from "#core/hash.ts";

export const ignoreFiles: readonly string[] = [".gitignore", ".pogoignore"];

/** The rules of one directory that has any, on top of those above it. */
export type IgnoreRules = { key: string; levels: Level[] };

type Level = {
  /** Directory that the rules are relative to, with a slash at its end, or "" for the root. */
  prefix: string;
  rules: Ignore;
  mayMatch: (name: string) => boolean;
};

export const noRules: IgnoreRules = { key: "", levels: [] };

/** Adds a directory's ignore files, in the order of `ignoreFiles`, to the rules above it. */
export function addRules(
  above: IgnoreRules,
  directory: string,
  contents: readonly string[],
): IgnoreRules {
  if (contents.length === 0) return above;
  const rules = ignore({ ignorecase: false, allowRelativePaths: true });
  for (const content of contents) rules.add(content);
  const prefix = directory === "" ? "" : `${directory}/`;
  const level = { prefix, rules, mayMatch: namesThatMayMatch(contents) };
  const key = childKey(
    above.key,
    contents.map((text) => toHex(sha256(Buffer.from(text)))),
  );
  return { key, levels: [level, ...above.levels] };
}

// Names the rules below a directory whose ignore files have these hashes.
function childKey(above: string, hashes: readonly string[]): string {
  return toHex(sha256(Buffer.from([above, ...hashes].join("\n")))).slice(0, 32);
}

/** What the rules say of a path in a directory that is not ignored itself, if anything. */
export function judge(
  { levels }: IgnoreRules,
  path: string,
  name: string,
  isDirectory: boolean,
): "ignored" | "unignored" | undefined {
  for (const { prefix, rules, mayMatch } of levels) {
    if (!mayMatch(name)) continue;
    const relative = path.slice(prefix.length) + (isDirectory ? "/" : "");
    const { ignored, unignored } = rules.test(relative);
    if (ignored) return "ignored";
    if (unignored) return "unignored";
  }
  return undefined;
}

/**
 * The rules below a directory that a deeper file took back from a higher one: the library would
 * go on to ignore all that is below it, as it asks a path's parents again.
 */
export function withoutParent(rules: IgnoreRules, directory: string): IgnoreRules {
  const levels = rules.levels.map((level) => {
    const relative = `${directory.slice(level.prefix.length)}/`;
    if (!level.rules.test(relative).ignored) return level;
    const taken = ignore({ ignorecase: false, allowRelativePaths: true }).add(level.rules);
    taken.add({ pattern: `!/${relative.replace(/[\\*?[\]!# ]/g, "\\$&")}` });
    return { ...level, rules: taken };
  });
  return { key: rules.key, levels };
}

/**
 * A quick no for most names. A rule can match a path only if its last part matches the name, so
 * names are looked up by what those parts are, begin or end with before any rule is tried.
 */
function namesThatMayMatch(contents: readonly string[]): (name: string) => boolean {
  const exact = new Set<string>();
  const suffixes = new Map<number, Set<string>>();
  const loose: string[] = [];
  for (const line of contents.join("\n").split("\n")) {
    const part = line
      .replace(/^\ufeff/, "")
      .replace(/^!/, "")
      .replace(/[ \r]+$/, "")
      .replace(/\/+$/, "");
    if (part === "" || part.startsWith("#")) continue;
    const last = part.slice(part.lastIndexOf("/") + 1);
    if (/[\\[]/.test(part.slice(0, -last.length))) return () => true;
    const [, star, text] = /^(\*?)([^\\*?[]+)$/.exec(last) ?? [];
    if (text === undefined) loose.push(looseSource(last));
    else if (star === "") exact.add(text);
    else suffixes.set(text.length, (suffixes.get(text.length) ?? new Set()).add(text));
  }
  const others = loose.length === 0 ? undefined : new RegExp(`^(?:${loose.join("|")})$`, "s");
  return (name) => {
    if (exact.has(name)) return true;
    for (const [length, group] of suffixes) if (group.has(name.slice(-length))) return true;
    return others?.test(name) ?? false;
  };
}

// A regular expression for at least what the pattern matches: whatever is intricate is anything.
function looseSource(pattern: string): string {
  return pattern.replace(/\\[\x20-\x7e]|[\\[].*$|\*+|[^\w]/gs, (token) => {
    if (token === "?") return ".";
    if (token.startsWith("*") || token.startsWith("[") || token === "\\") return ".*";
    return token.length === 2 && /\w/.test(token[1]!) ? token[1]! : `\\${token.at(-1)}`;
  });
}
