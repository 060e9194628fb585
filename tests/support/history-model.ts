/**
 * A history in memory beside one on a server: what is done to the one is done to the other. Each
 * change has a file and a line of its own, so that it must hold exactly the edits of its ancestors
 * and its own, however it came to stand where it stands.
 */
import { expect } from "bun:test";

import { toHex } from "#core/hash.ts";
import { newRequestId, type Remote } from "#client/remote.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { RebaseScope } from "#gen/pogo/v1/history.ts";
import { publish, upload } from "./publish.ts";
import { refusal } from "./refusal.ts";
import { MemoryStore, type Snapshot } from "./snapshot.ts";

type Modelled = { name: string; parents: string[]; edits: Set<number> };

const linesMax = 60;

/** Opens an empty model. */
export function openHistoryModel(remote: Remote, random: () => number) {
  const changes = new Map<string, Modelled>();
  const story: string[] = [];
  let numbers = 0;

  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const names = () => [...changes.keys()];
  // What all stand on stays as it is: all others edit its file.
  const movable = () => names().slice(1);
  const of = (name: string) => changes.get(name)!;
  const short = (name: string) => name.slice(0, 4);

  function ancestors(starts: readonly string[]): Set<string> {
    const found = new Set<string>();
    const open = [...starts];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (found.has(name)) continue;
      found.add(name);
      open.push(...of(name).parents);
    }
    return found;
  }

  function filesOf(starts: readonly string[]): Snapshot {
    const edits = new Set([...ancestors(starts)].flatMap((name) => [...of(name).edits]));
    const lines = Array.from({ length: linesMax }, (_, line) => {
      return `line ${line}${edits.has(line) ? ", edited" : ""}\n\n\n`;
    });
    const files: Snapshot = { f: lines.join("") };
    for (const edit of edits) files[`d${edit % 3}/${edit}`] = `${edit}`;
    return files;
  }

  async function grow(): Promise<void> {
    const parents = changes.size === 0 ? [] : [pick(names())];
    if (changes.size > 3 && random() < 0.3) parents.push(pick(names()));
    const on = [...new Set(parents)];
    const edits = new Set([numbers++]);
    const refs = await Promise.all(on.map((name) => remote.getChange(name)));
    const files = filesOf(on);
    const modelled = { name: "", parents: on, edits };
    changes.set("", modelled);
    const own = filesOf([""]);
    changes.delete("");
    expect(Object.keys(own).length).toBeGreaterThan(Object.keys(files).length);
    const { change } = await publish(remote, own, {
      parents: refs.map(({ name, version }) => {
        return { change: name, version, description: "", prefix: "" };
      }),
    });
    changes.set(change!.name, { ...modelled, name: change!.name });
    story.push(`${short(change!.name)} on ${on.map(short)}`);
  }

  function replace(name: string, parents: readonly string[]): void {
    for (const change of changes.values()) {
      change.parents = [
        ...new Set(change.parents.flatMap((one) => (one === name ? parents : one))),
      ];
    }
  }

  async function rebase(): Promise<void> {
    const name = pick(movable());
    const scope = pick([
      RebaseScope.REBASE_SCOPE_CHANGE,
      RebaseScope.REBASE_SCOPE_SOURCE,
      RebaseScope.REBASE_SCOPE_BRANCH,
    ]);
    const onto = [...new Set([pick(names()), ...(random() < 0.2 ? [pick(names())] : [])])];
    story.push(`rebase ${scope} ${short(name)} onto ${onto.map(short)}`);
    const before = new Map([...changes].map(([key, { parents }]) => [key, parents]));
    if (scope === RebaseScope.REBASE_SCOPE_CHANGE) {
      replace(name, of(name).parents);
      of(name).parents = onto;
    } else if (scope === RebaseScope.REBASE_SCOPE_SOURCE) {
      of(name).parents = onto;
    } else {
      const shared = ancestors(onto);
      const branch = [...ancestors([name])].filter((one) => !shared.has(one));
      for (const one of branch) {
        const inside = of(one).parents.filter((parent) => branch.includes(parent));
        of(one).parents = inside.length > 0 ? inside : onto;
      }
    }
    const isCircular = names().some((one) => ancestors(of(one).parents).has(one));
    const request = { requestId: newRequestId(), scope, revision: name, destinations: onto };
    if (isCircular) {
      for (const [key, parents] of before) of(key).parents = parents;
      expect(await refusal(remote.rebaseChanges(request))).toBe("usage");
    } else {
      await remote.rebaseChanges(request);
    }
  }

  async function remove(): Promise<void> {
    const name = pick(movable());
    story.push(`rm ${short(name)}`);
    await remote.removeChange(name);
    const { parents } = of(name);
    changes.delete(name);
    replace(name, parents);
  }

  async function squash(): Promise<void> {
    const from = pick(movable());
    const into = pick(movable());
    if (from === into) return;
    story.push(`squash ${short(from)} into ${short(into)}`);
    const request = { requestId: newRequestId(), from, into, paths: [], description: "d" };
    await remote.squashChange(request);
    const { parents, edits } = of(from);
    for (const edit of edits) of(into).edits.add(edit);
    changes.delete(from);
    replace(from, parents);
  }

  async function split(): Promise<void> {
    const name = pick(movable().filter((one) => of(one).edits.size > 1));
    if (name === undefined) return;
    const [edit] = of(name).edits;
    story.push(`split ${edit} off ${short(name)}`);
    const first: Modelled = { name, parents: of(name).parents, edits: new Set([edit!]) };
    const rest = new Set([...of(name).edits].filter((one) => one !== edit));
    changes.set(name, first);
    const tree = await upload(remote, filesOf([name]));
    const request = { requestId: newRequestId(), revision: name, paths: [], tree };
    const answer = await remote.splitChange(request);
    replace(name, [answer.second.name]);
    changes.set(answer.second.name, { name: answer.second.name, parents: [name], edits: rest });
    first.parents = [...first.parents];
  }

  return {
    story,
    grow,
    /** Does something at random. */
    async edit(): Promise<void> {
      const doing = pick([rebase, rebase, rebase, remove, squash, split, grow, grow]);
      if (doing === grow && numbers >= linesMax) return;
      await (changes.size < 4 ? grow() : doing());
    },
    /** Compares every change with what it is to be. */
    async check(): Promise<void> {
      const listed: Change[] = [];
      const query = { revisions: names(), paths: [], limit: 500 };
      for await (const change of remote.listChanges(query)) listed.push(change);
      expect(listed.map(({ name }) => name).sort()).toEqual(names().sort());
      for (const { name, parents, tree } of listed) {
        expect(parents.map(({ change }) => change)).toEqual(of(name).parents);
        expect(toHex(tree)).toBe(toHex(new MemoryStore().add(filesOf([name]))));
      }
    },
  };
}
