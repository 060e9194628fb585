/**
 * Compares Pogo's diff with git's on a real history: `bun scripts/diff-oracle.ts REPO [PAIRS]`.
 * For every file that a commit touches it counts changed lines as `git diff --histogram` does, and
 * it applies Pogo's patch of each commit with `git apply`: the result must be the commit's tree.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countPatch, formatFilePatch, type PatchMode, type PatchPair } from "#core/patch.ts";
import { GitObjects, runGit } from "./git-objects.ts";

type Touched = { pair: PatchPair; path: string };
type Tally = {
  commits: number;
  pairs: number;
  own: number;
  git: number;
  different: string[];
  refused: string[];
  diffMs: number;
};

const noOid = "0".repeat(40);
const [repository, pairsText = "2000"] = process.argv.slice(2);
if (!repository) throw new Error("usage: bun scripts/diff-oracle.ts REPO [PAIRS]");
await compareHistory(repository, Number(pairsText));

async function compareHistory(repo: string, pairsWanted: number): Promise<void> {
  await using objects = new GitObjects(repo);
  const scratch = await mkdtemp(join(tmpdir(), "pogo-diff-oracle-"));
  const listed = await runGit(["-C", repo, "rev-list", "--no-merges", "--min-parents=1", "--all"]);
  const commits = listed.output.toString().trim().split("\n");
  const step = Math.max(1, Math.floor(commits.length / Math.max(1, pairsWanted / 2)));
  const tally: Tally = {
    commits: 0,
    pairs: 0,
    own: 0,
    git: 0,
    different: [],
    refused: [],
    diffMs: 0,
  };
  try {
    for (let at = 0; at < commits.length && tally.pairs < pairsWanted; at += step) {
      await compareCommit(repo, objects, scratch, commits[at]!, tally);
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
  report(tally);
}

async function compareCommit(
  repo: string,
  objects: GitObjects,
  scratch: string,
  commit: string,
  tally: Tally,
): Promise<void> {
  const args = ["--raw", "--numstat", "--no-abbrev", "-M", "--histogram", "-r", "-z"];
  const command = ["-C", repo, "diff-tree", "--no-commit-id", ...args, commit];
  const shown = await runGit(command, { allowed: [128] });
  // A partial copy of a history lacks some files.
  if (shown.code !== 0) return;
  const { raw, counts } = parseDiffTree(shown.output);
  if (raw.some(({ oldMode, newMode }) => oldMode === "160000" || newMode === "160000")) return;
  const touched: Touched[] = [];
  for (const change of raw) {
    const old = change.oldOid === noOid ? undefined : await objects.readBlob(change.oldOid);
    const next = change.newOid === noOid ? undefined : await objects.readBlob(change.newOid);
    touched.push({
      path: change.newPath,
      pair: {
        old: old && { path: change.oldPath, mode: change.oldMode as PatchMode, bytes: old },
        new: next && { path: change.newPath, mode: change.newMode as PatchMode, bytes: next },
      },
    });
  }
  const started = performance.now();
  const patches = touched.map(({ pair }) => formatFilePatch(pair, { binary: true }));
  tally.diffMs += performance.now() - started;
  for (const [index, { pair, path }] of touched.entries()) {
    const own = countPatch(pair);
    const git = counts[index] ?? { added: 0, removed: 0 };
    tally.own += own.added + own.removed;
    tally.git += git.added + git.removed;
    if (own.added !== git.added || own.removed !== git.removed) {
      const text = `+${own.added} -${own.removed}, git +${git.added} -${git.removed}`;
      tally.different.push(`${commit.slice(0, 12)} ${path}: ${text}`);
    }
  }
  tally.commits++;
  tally.pairs += touched.length;
  const problem = await applies(repo, scratch, commit, Buffer.concat(patches));
  if (problem) tally.refused.push(`${commit.slice(0, 12)}: ${problem}`);
}

/** Applies a patch to the commit's parent, in an index of its own; says why it came out wrong. */
async function applies(
  repo: string,
  scratch: string,
  commit: string,
  patch: Uint8Array,
): Promise<string | undefined> {
  const gitDirectory = (await runGit(["-C", repo, "rev-parse", "--absolute-git-dir"])).output
    .toString()
    .trim();
  const env = {
    GIT_DIR: gitDirectory,
    GIT_INDEX_FILE: join(scratch, "index"),
    GIT_OBJECT_DIRECTORY: join(scratch, "objects"),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: join(gitDirectory, "objects"),
  };
  await Bun.write(join(scratch, "objects", "info", "keep"), "");
  await runGit(["read-tree", `${commit}^`], { env });
  if (patch.length > 0) {
    const args = ["apply", "--cached", "--whitespace=nowarn", "-"];
    const applied = await runGit(args, { env, input: patch, allowed: [1, 128] });
    if (applied.code !== 0) return applied.errors.trim();
  }
  const [own, git] = await Promise.all([
    runGit(["write-tree"], { env }),
    runGit(["rev-parse", `${commit}^{tree}`], { env }),
  ]);
  return own.output.equals(git.output) ? undefined : "applied, but to another tree";
}

type RawChange = {
  oldMode: string;
  newMode: string;
  oldOid: string;
  newOid: string;
  oldPath: string;
  newPath: string;
};

function parseDiffTree(output: Buffer): {
  raw: RawChange[];
  counts: { added: number; removed: number }[];
} {
  const fields = output.toString("utf8").split("\0");
  const raw: RawChange[] = [];
  const counts: { added: number; removed: number }[] = [];
  for (let at = 0; at < fields.length && fields[at] !== "";) {
    const field = fields[at++]!;
    if (field.startsWith(":")) {
      const [oldMode = "", newMode = "", oldOid = "", newOid = "", status = ""] = field
        .slice(1)
        .split(" ");
      const oldPath = fields[at++]!;
      const newPath = /^[RC]/.test(status) ? fields[at++]! : oldPath;
      raw.push({ oldMode, newMode, oldOid, newOid, oldPath, newPath });
      continue;
    }
    const [added, removed, path] = field.split("\t");
    if (path === "") at += 2;
    counts.push({ added: Number(added) || 0, removed: Number(removed) || 0 });
  }
  return { raw, counts };
}

function report(tally: Tally): void {
  const share = ((tally.own - tally.git) / Math.max(1, tally.git)) * 100;
  console.log(`commits ${tally.commits}, file pairs ${tally.pairs}`);
  console.log(`changed lines: own ${tally.own}, git ${tally.git} (${share.toFixed(3)} %)`);
  console.log(`pairs with other counts: ${tally.different.length}`);
  for (const line of tally.different.slice(0, 40)) console.log(`  ${line}`);
  console.log(`commits refused by git apply: ${tally.refused.length}`);
  for (const line of tally.refused.slice(0, 40)) console.log(`  ${line}`);
  console.log(`time to diff: ${tally.diffMs.toFixed(0)} ms`);
  if (tally.refused.length > 0 || Math.abs(share) > 1) process.exitCode = 1;
}
