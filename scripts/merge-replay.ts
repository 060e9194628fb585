/**
 * Replays the merges of a git repository: `bun scripts/merge-replay.ts REPO [MERGES]`. For each it
 * merges the parents with Pogo and with `git merge-tree --write-tree`, and compares: where git is
 * clean the trees must be identical, where git conflicts the same paths must. Differences are
 * listed with what explains them.
 */
import { toHex } from "#core/hash.ts";
import { mergeVersions, type History, type MergeResult } from "#core/merge.ts";
import type { Entry } from "#core/tree.ts";
import { GitObjects, runGit } from "./git-objects.ts";
import { GitSnapshots } from "./git-snapshots.ts";

type Version = { commit: string };
type GitMerge = {
  isClean: boolean;
  tree: string;
  paths: Set<string>;
  /** Contents of what conflicts, by path. */
  stages: Map<string, string[]>;
  notes: string;
};
type Tally = {
  merges: number;
  agreed: number;
  clean: number;
  conflicted: number;
  explained: Map<string, number>;
  differences: string[];
  ownMs: number;
  gitMs: number;
};

// Git finds such a move, too, but leaves it to be confirmed.
const followsDirectories = "as git with merge.directoryRenames=true";

const [repository, mergesText = "2000", onlyCommit] = process.argv.slice(2);
if (!repository) throw new Error("usage: bun scripts/merge-replay.ts REPO [MERGES [COMMIT]]");
await replay(repository, Number(mergesText));

async function replay(repo: string, mergesWanted: number): Promise<void> {
  await using objects = new GitObjects(repo);
  const snapshots = new GitSnapshots(objects);
  const merges = await listMerges(repo);
  const step = Math.max(1, Math.floor(merges.length / mergesWanted));
  const tally: Tally = {
    merges: 0,
    agreed: 0,
    clean: 0,
    conflicted: 0,
    explained: new Map(),
    differences: [],
    ownMs: 0,
    gitMs: 0,
  };
  for (let at = 0; at < merges.length && tally.merges < mergesWanted; at += step) {
    const [commit, ours, theirs] = merges[at]!;
    if (onlyCommit && !commit.startsWith(onlyCommit)) continue;
    await replayMerge(repo, snapshots, tally, commit, ours, theirs);
    snapshots.forgetSome();
  }
  report(tally);
}

async function listMerges(repo: string): Promise<[string, string, string][]> {
  const args = ["rev-list", "--all", "--min-parents=2", "--max-parents=2", "--parents"];
  const { output } = await runGit(["-C", repo, ...args]);
  const lines = output.toString().trim().split("\n");
  return lines.filter(Boolean).map((line) => line.split(" ") as [string, string, string]);
}

async function replayMerge(
  repo: string,
  snapshots: GitSnapshots,
  tally: Tally,
  commit: string,
  ours: string,
  theirs: string,
): Promise<void> {
  let started = performance.now();
  const git = await mergeWithGit(repo, ours, theirs, []);
  tally.gitMs += performance.now() - started;
  if (!git) return;
  const history: History<Version> = {
    rootOf: (version) => snapshots.rootOf(version.commit),
    basesOf: async (one, others) => {
      const names = [one, ...others].map((version) => version.commit);
      const args = ["-C", repo, "merge-base", "--all", ...names];
      const { output } = await runGit(args, { allowed: [1] });
      // Git lists the newest first.
      const bases = output.toString().split("\n").filter(Boolean).reverse();
      return bases.map((base) => ({ commit: base }));
    },
  };
  started = performance.now();
  const own = await mergeVersions(snapshots, history, [{ commit: ours }, { commit: theirs }]);
  tally.ownMs += performance.now() - started;
  tally.merges++;
  if (git.isClean) tally.clean++;
  else tally.conflicted++;
  const difference = await compare(snapshots, git, own);
  if (!difference) {
    tally.agreed++;
    return;
  }
  const reason = await explain(repo, snapshots, git, own, ours, theirs);
  if (Bun.env["VERBOSE"]) console.log(`- ${commit.slice(0, 12)} ${reason}: ${difference}`);
  tally.explained.set(reason, (tally.explained.get(reason) ?? 0) + 1);
  tally.differences.push(`${commit.slice(0, 12)} ${reason}: ${difference}`);
}

/** Merges with git; nothing when the repository lacks objects that git needs. */
async function mergeWithGit(
  repo: string,
  ours: string,
  theirs: string,
  config: string[],
): Promise<GitMerge | undefined> {
  const options = config.flatMap((value) => ["-c", value]);
  const args = ["merge-tree", "--write-tree", "-z", "--allow-unrelated-histories", ours, theirs];
  const { code, output } = await runGit(["-C", repo, ...options, ...args], { allowed: [1, 128] });
  if (code > 1) return undefined;
  const text = output.toString("utf8");
  const end = text.indexOf("\0");
  const fields = text.slice(end + 1).split("\0");
  const paths = new Set<string>();
  const stages = new Map<string, string[]>();
  let at = 0;
  for (; at < fields.length && fields[at] !== ""; at++) {
    const [info = "", path = ""] = fields[at]!.split("\t");
    stages.set(path, [...(stages.get(path) ?? []), info.split(" ")[1] ?? ""]);
    // Where a file was that both sides moved elsewhere, nothing is left to resolve.
    if (!info.endsWith(" 1") || isListedAgain(fields, path)) paths.add(normalPath(path));
  }
  return {
    isClean: code === 0,
    tree: text.slice(0, end),
    paths,
    stages,
    notes: fields.slice(at).join(" "),
  };
}

function isListedAgain(fields: string[], path: string): boolean {
  return fields.filter((field) => field.split("\t")[1] === path).length > 1;
}

/** Git moves a file that clashes with a directory aside, under the name of its side. */
function normalPath(path: string): string {
  return path.replace(/~[0-9a-f]{40}(_\d+)?$/, "");
}

async function compare(
  snapshots: GitSnapshots,
  git: GitMerge,
  own: MergeResult,
): Promise<string | undefined> {
  if (git.isClean) {
    if (own.conflicts.length > 0) return `git is clean, own conflicts ${own.conflicts.join(" ")}`;
    const root = await snapshots.rootOfTree(git.tree);
    const paths = (await snapshots.differences(root, own)).map(({ path }) => path);
    if (paths.length === 0) return undefined;
    return `trees differ at ${paths.slice(0, 8).join(" ")}`;
  }
  const ownPaths = new Set(own.conflicts.map(normalPath));
  const missing = [...git.paths].filter((path) => !ownPaths.has(path));
  const more = [...ownPaths].filter((path) => !git.paths.has(path));
  if (missing.length === 0 && more.length === 0 && ownPaths.size > 0) return undefined;
  return `only git conflicts at [${missing.join(" ")}], only own at [${more.join(" ")}]`;
}

/** Says why Pogo's result may differ from git's, or that it cannot be told. */
async function explain(
  repo: string,
  snapshots: GitSnapshots,
  git: GitMerge,
  own: MergeResult,
  ours: string,
  theirs: string,
): Promise<string> {
  const following = await mergeWithGit(repo, ours, theirs, ["merge.directoryRenames=true"]);
  if (following && !(await compare(snapshots, following, own))) return followsDirectories;
  const reference = following ?? git;
  if (reference.isClean && (await isSwapped(snapshots, reference, own))) {
    return "a file moved to equal places: either will do";
  }
  if (git.notes.includes("directory rename split")) return "git cannot say where a directory went";
  const ownPaths = new Set(own.conflicts.map(normalPath));
  const more = [...reference.paths].filter((path) => !ownPaths.has(path));
  const reasons = new Set<string>();
  for (const path of more) {
    if (await isAlike(repo, path, ours, theirs)) reasons.add("both sides have the file alike");
    else if (await isConverted(snapshots, reference, path))
      reasons.add("one side converted line endings");
    else reasons.add("unexplained");
  }
  const isMore = [...ownPaths].some((path) => !reference.paths.has(path));
  if ((isMore || reasons.has("unexplained")) && (await isTied(repo, own, more, ours, theirs))) {
    return "a file moved to equal places: either will do";
  }
  if (isMore || reasons.size === 0 || reasons.has("unexplained")) return "unexplained";
  return [...reasons].join(", ");
}

/** Tells whether the trees hold the same files, only at other paths among those that differ. */
async function isSwapped(
  snapshots: GitSnapshots,
  git: GitMerge,
  own: MergeResult,
): Promise<boolean> {
  const differences = await snapshots.differences(await snapshots.rootOfTree(git.tree), own);
  const spell = (entries: (Entry | undefined)[]) => {
    const files = entries.filter((entry) => entry?.kind === "file");
    return files.map(({ hash, executable }) => `${toHex(hash)} ${executable}`).sort();
  };
  const ownFiles = spell(differences.map(({ new: next }) => next));
  return ownFiles.length > 0 && `${ownFiles}` === `${spell(differences.map(({ old }) => old))}`;
}

/** Tells whether all that one of the two left open are files of which a side has equal copies. */
async function isTied(
  repo: string,
  own: MergeResult,
  more: string[],
  ours: string,
  theirs: string,
): Promise<boolean> {
  const git = await mergeWithGit(repo, ours, theirs, ["merge.directoryRenames=true"]);
  const ownMore = own.conflicts.filter((path) => !git?.paths.has(normalPath(path)));
  for (const path of [...more, ...ownMore]) {
    let isCopied = false;
    for (const side of [ours, theirs]) {
      const { output } = await runGit([
        "-C",
        repo,
        "ls-tree",
        "-r",
        "-z",
        "--format=%(objectname) %(path)",
        side,
      ]);
      const files = output.toString().split("\0");
      const oid = files.find((file) => file.slice(41) === path)?.slice(0, 40);
      if (oid && files.filter((file) => file.startsWith(oid)).length > 1) isCopied = true;
    }
    if (!isCopied) return false;
  }
  return more.length + ownMore.length > 0;
}

/** Tells whether the sides differ in how their lines end. */
async function isConverted(snapshots: GitSnapshots, git: GitMerge, path: string): Promise<boolean> {
  const texts = (git.stages.get(path) ?? []).map((oid) => snapshots.readBlob(oid));
  const hasCrlf = (await Promise.all(texts)).map((text) => Buffer.from(text).includes("\r\n"));
  return hasCrlf.includes(true) && hasCrlf.includes(false);
}

async function isAlike(repo: string, path: string, ours: string, theirs: string): Promise<boolean> {
  const args = ["-C", repo, "rev-parse", `${ours}:${path}`, `${theirs}:${path}`];
  const { code, output } = await runGit(args, { allowed: [128] });
  const [one, other] = output.toString().split("\n");
  return code === 0 && one === other;
}

function report(tally: Tally): void {
  const count = (reason: string) => tally.explained.get(reason) ?? 0;
  const share = (number: number) => ((number / Math.max(1, tally.merges)) * 100).toFixed(2);
  const alike = tally.agreed + count(followsDirectories);
  const unexplained = count("unexplained");
  console.log(`merges ${tally.merges}: ${tally.clean} clean in git, ${tally.conflicted} not`);
  console.log(`same as git: ${tally.agreed} (${share(tally.agreed)} %)`);
  console.log(`same as git, told to follow directories or not: ${alike} (${share(alike)} %)`);
  console.log(`unexplained: ${unexplained} (${share(unexplained)} %)`);
  for (const [reason, number] of tally.explained) console.log(`  ${number} × ${reason}`);
  for (const line of tally.differences) console.log(`- ${line.slice(0, 600)}`);
  console.log(`time: own ${tally.ownMs.toFixed(0)} ms, git ${tally.gitMs.toFixed(0)} ms`);
  if (alike < tally.merges * 0.99) process.exitCode = 1;
}
