import { compareFiles, type ComparedFile, type Comparison } from "#client/comparison.ts";
import { serverRevision } from "#client/revision.ts";
import type { Hash } from "#core/hash.ts";
import { countPatch, formatFilePatch } from "#core/patch.ts";
import { formatStat } from "#core/patch-stat.ts";
import { emptyTreeHash } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { command } from "../command.ts";
import type { Context } from "../context.ts";
import { paintPatch } from "../patch-view.ts";
import { openSession, type Session } from "../session.ts";
import { pathFilter, repositoryPath, requireKnownPaths } from "../working-copy.ts";

export const diff = command({
  meta: {
    description: "show what differs, as a patch that `git apply` and `patch -p1` take",
    examples: [
      "pogo diff",
      "pogo diff --from v1.2.0 src",
      "pogo diff --from main --to kxyz --stat",
    ],
  },
  args: {
    from: { type: "string", valueHint: "REV", description: "old side (@, or the parent of --to)" },
    to: { type: "string", valueHint: "REV", description: "new side (the working copy)" },
    stat: { type: "boolean", description: "only how many lines of each file" },
  },
  rest: { valueHint: "PATH", description: "only these files and directories" },
  async run({ args, rest, context }) {
    await using session = await openSession(context);
    const paths = rest.map((path) => repositoryPath(session.workspace, context.cwd, path));
    const [from, to] = await findSides(session, args.from, args.to);
    const comparison = await compareFiles(
      { workspace: session.workspace, remote: session.cached },
      from.tree,
      to?.tree,
      pathFilter(paths),
    );
    await requireKnown(session, paths, comparison, [from, to]);
    if (context.json) return context.print(await toJson(comparison), "");
    if (args.stat) return await printStat(context, comparison);
    for await (const { pair } of comparison.pairs()) {
      await context.write(paintPatch(formatFilePatch(pair, { binary: true }), context.style));
    }
  },
});

/** A snapshot; the working copy's base may be nobody else's. */
type Side = { tree: Hash; revision: string | undefined };

/** The two sides; no second one stands for the working copy. */
async function findSides(
  { remote, current }: Session,
  from: string | undefined,
  to: string | undefined,
): Promise<[Side, Side | undefined]> {
  const base: Side = { tree: current.tree, revision: undefined };
  const change = async (text: string) => {
    const revision = serverRevision(current, text);
    return revision === undefined ? undefined : await remote.getChange(revision);
  };
  const newer = to === undefined ? undefined : await change(to);
  if (from !== undefined) {
    const older = await change(from);
    return [older ? sideOf(older) : base, newer && sideOf(newer)];
  }
  if (newer === undefined) return [base, undefined];
  const parent = newer.parents[0];
  const older = parent && (await remote.getChange(`${parent.change}@${parent.version}`));
  return [older ? sideOf(older) : { tree: emptyTreeHash, revision: undefined }, sideOf(newer)];
}

function sideOf({ name, version, tree }: Change): Side {
  return { tree, revision: `${name}@${version}` };
}

/** Refuses paths of which nothing is compared because there is no such path on either side. */
async function requireKnown(
  { workspace, remote }: Session,
  paths: string[],
  { files }: Comparison,
  sides: (Side | undefined)[],
): Promise<void> {
  const silent = paths.filter((typed) => {
    const isBelow = pathFilter([typed]);
    return !files.some(({ path, oldPath }) => isBelow(path) || isBelow(oldPath));
  });
  const revisions = sides.flatMap((side) => side?.revision ?? []);
  const has = async (path: string) => {
    for (const revision of revisions) if (await remote.findEntry(revision, path)) return true;
    return false;
  };
  await requireKnownPaths(workspace, silent, { name: "what is compared", has });
}

async function printStat(context: Context, comparison: Comparison): Promise<void> {
  const stats = [];
  for await (const { file, pair } of comparison.pairs()) {
    stats.push({ ...countPatch(pair), path: file.path, oldPath: renamedFrom(file) });
  }
  await context.write(stats.length === 0 ? "" : formatStat(stats));
}

async function toJson(comparison: Comparison) {
  const files = [];
  for await (const { file, pair } of comparison.pairs()) {
    const { added, removed, isBinary } = countPatch(pair);
    const { path, status } = file;
    const patch = Buffer.from(formatFilePatch(pair, { binary: true })).toString();
    files.push({
      path,
      oldPath: renamedFrom(file),
      status,
      added,
      removed,
      binary: isBinary,
      patch,
    });
  }
  return { files };
}

function renamedFrom({ path, oldPath }: ComparedFile): string | undefined {
  return path === oldPath ? undefined : oldPath;
}
