/** The ignore rules on the way down into directories. */
import { baseName, joinPath } from "#core/path.ts";
import type { Entry } from "#core/tree.ts";
import { directoryRow, rowEntries } from "../state-directories.ts";
import type { Workspace } from "../workspace.ts";
import {
  addRules,
  ignoreFiles,
  judge,
  noRules,
  withoutParent,
  type IgnoreRules,
} from "./ignore.ts";
import { readWorkingFile } from "./read.ts";

/** The ignore rules in a directory, worked out only when something asks. */
export type Context = { key: string; resolve: () => { rules: IgnoreRules; isIgnored: boolean } };

/** Where no rules hold. */
export const outside: Context = {
  key: noRules.key,
  resolve: () => ({ rules: noRules, isIgnored: false }),
};
/** The rules in a directory that stands as recorded: `key` is theirs. */
export function recordedContext(
  workspace: Workspace,
  path: string,
  above: Context,
  key: string,
): Context {
  return context(workspace, path, above, key, () => {
    if (key === above.key) return [];
    const files = baseEntries(workspace, path).filter(({ kind }) => kind === "file");
    return ignoreFiles.filter((name) => files.some((file) => file.name === name));
  });
}

/** The rules in a directory; without a `key` they are worked out now. */
export function context(
  workspace: Workspace,
  path: string,
  above: Context,
  key: string | undefined,
  names: () => readonly string[],
): Context {
  let resolved: { rules: IgnoreRules; isIgnored: boolean } | undefined;
  const work = () => {
    const { rules, isIgnored } = above.resolve();
    if (isIgnored) return { rules, isIgnored };
    const name = baseName(path);
    const verdict = path === "" ? undefined : judge(rules, path, name, true);
    if (verdict === "ignored") return { rules, isIgnored: true };
    const inherited = verdict === "unignored" ? withoutParent(rules, path) : rules;
    const contents = names().map((file) => readRules(workspace, joinPath(path, file)));
    return { rules: addRules(inherited, path, contents), isIgnored: false };
  };
  const resolve = () => (resolved ??= work());
  return { key: key ?? resolve().rules.key, resolve };
}

function readRules({ root }: Workspace, path: string): string {
  const { bytes } = readWorkingFile(root, path);
  return new TextDecoder().decode(bytes);
}

/** Entries of a directory that the base has. */
export function baseEntries({ state }: Workspace, path: string): Entry[] {
  const row = directoryRow(state, path);
  if (!row) throw new Error(`the base has no directory ${JSON.stringify(path)}`);
  return rowEntries(state, row);
}
