/** The client that has a directory: it works as the program does. */
import { mkdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { lstatSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { newDraft, publishedChange } from "#client/change.ts";
import { push, type PushResult } from "#client/push.ts";
import { recoverWorkspace, switchTo } from "#client/switch.ts";
import { sha256, toHex } from "#core/hash.ts";
import { decodeObject } from "#core/object.ts";
import type { Entry } from "#core/tree.ts";
import { editFiles, randomVersion, type Action, type Context } from "./requests.ts";
import { treesOf, valueOfEntry, type Blob } from "./observed.ts";
import { isConflict, type Files } from "./terms.ts";
import * as verbs from "./verbs.ts";
import type { Client, World } from "./world.ts";

/** Goes to another change, or starts a draft on top of one; says what is wrong with the files. */
export async function move(
  world: World,
  { random, model }: Context,
  client: Client,
): Promise<string[]> {
  const workspace = client.workspace!;
  const version = randomVersion(random, model);
  const isDraft = random.next(2) === 0;
  const answer = await world.ask(client, async ({ remote }) => {
    using _ = await workspace.lock();
    await recoverWorkspace({ workspace, remote });
    const change = await remote.getChange(version.change);
    const target = isDraft ? newDraft([change]) : publishedChange(change);
    return await switchTo({ workspace, remote }, target);
  });
  if ("refused" in answer) return [`switching to ${version.change}: ${answer.message}`];
  client.at = isDraft ? undefined : version;
  return compareDirectory(workspace.root, version.files);
}

/** Edits files of the directory and pushes them. */
export async function drawPush(context: Context, client: Client): Promise<Action> {
  const { random, model, read } = context;
  const workspace = client.workspace!;
  const { current } = workspace.state;
  const parents = current.parents.map(({ change, version }) => {
    return model.change(change).versions[version - 1]!;
  });
  const expected =
    current.version > 0 ? model.change(current.name).versions[current.version - 1] : undefined;
  const start = expected ?? parents[0];
  const before = start ? await read(client, start) : { values: new Map(), entries: new Map() };
  // What is in conflict stands there as text for people.
  const isEditable = (entry: Entry | undefined) => entry?.kind !== "conflict";
  const { entries, blobs, edited } = editFiles(random, before, isEditable);
  writeEdits(workspace.root, edited, blobs);
  const isOthers = expected !== undefined && model.change(current.name).author !== client.user;
  // What is refused stays in the directory.
  const isDenied = isOthers && model.bookmarksAt(current.name).length > 0;
  const rewrite = random.next(3) === 0 && !isDenied;
  const asked = {
    change: current.name,
    expected,
    parents: expected ? [] : parents,
    files: new Map([...entries].map(([path, entry]) => [path, valueOfEntry(entry)])),
    root: toHex(treesOf(entries).at(-1)!.hash),
    description: undefined,
    rewrite,
  };
  return {
    label: `push ${current.name}@${current.version}${rewrite ? " --rewrite" : ""}`,
    ask: async ({ remote }) => {
      using _ = await workspace.lock();
      return await push({ workspace, remote }, { rewrite });
    },
    foresee: () => {
      const child = workspace.state.current.name;
      const isNothing = edited.size === 0;
      if (isNothing) return { step: undefined };
      return { step: verbs.commit(model, client.user, { ...asked, child }).step };
    },
    check: (answer) => {
      const { differences } = answer as PushResult;
      return differences.flatMap(({ path, status }) => {
        if (edited.has(path)) return [];
        const value = before.values.get(path);
        const found = readValue(join(workspace.root, path));
        return [`${path} was ${status} by nobody: it was ${value}, and is ${found}`];
      });
    },
    learn: (step) => {
      const now = workspace.state.current;
      client.at = now.version > 0 ? model.change(now.name).versions[now.version - 1] : undefined;
      for (const version of step?.versions ?? []) {
        if (version === client.at) version.root = toHex(now.tree);
      }
    },
  };
}

/** Lists the files of a directory that are not those of a version; conflicts may look anyhow. */
function compareDirectory(root: string, files: Files): string[] {
  const wrong: string[] = [];
  for (const [path, value] of files) {
    if (isConflict(value)) continue;
    const found = readValue(join(root, path));
    if (found !== value) wrong.push(`${path} of the directory: model ${value}, found ${found}`);
  }
  return wrong;
}

function readValue(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return "";
  if (stat.isSymbolicLink()) return `link:${readlinkSync(path)}`;
  const kind = (stat.mode & 0o100) === 0 ? "file" : "run";
  return `${kind}:${toHex(sha256(new Uint8Array(readFileSync(path))))}`;
}

function writeEdits(
  root: string,
  edited: ReadonlyMap<string, Entry | undefined>,
  blobs: readonly Blob[],
): void {
  for (const [name, entry] of edited) {
    const path = join(root, name);
    rmSync(path, { force: true });
    if (!entry) continue;
    mkdirSync(dirname(path), { recursive: true });
    if (entry.kind === "symlink") symlinkSync(entry.target, path);
    if (entry.kind !== "file") continue;
    const { hash, bytes } = blobs.find((blob) => toHex(blob.hash) === toHex(entry.hash))!;
    writeFileSync(path, decodeObject(hash, bytes), { mode: entry.executable ? 0o755 : 0o644 });
  }
}
