import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { newRequestId, openRemote, type Remote } from "#client/remote.ts";
import { isPogoError } from "#core/errors.ts";
import { pageMax } from "#core/limits.ts";
import { decodeTree, emptyTreeHash } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import type { Channel } from "#rpc/channel.ts";
import { engines, startMs } from "../support/postgres.ts";
import { newChangeName, publish } from "../support/publish.ts";
import { seededRandom } from "../support/random.ts";
import { refusal } from "../support/refusal.ts";
import { createRemote, startTestServer, type TestServer } from "../support/server.ts";
import type { Snapshot } from "../support/snapshot.ts";

setDefaultTimeout(startMs);

const { seed, random } = seededRandom();

function parents(...changes: Change[]) {
  return changes.map(({ name, version }) => ({
    change: name,
    version,
    description: "",
    prefix: "",
  }));
}

async function refusalText(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((error: unknown) => error);
  return isPogoError(error) ? `${error.code}: ${error.message}` : "nothing";
}

describe.each(engines)("%s", (engine) => {
  let server: TestServer;
  let ann: Channel;
  let names = 0;
  beforeAll(async () => {
    server = await startTestServer(engine);
    ann = await server.user("ann");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const newRepository = () => createRemote(ann, `r${names++}`);

  async function add(remote: Remote, name: string, snapshot: Snapshot, ...on: Change[]) {
    const description = snapshot["d"] === undefined ? name : String(snapshot["d"]);
    const answer = await publish(remote, snapshot, {
      change: name,
      description,
      parents: parents(...on),
    });
    return answer.change!;
  }

  async function list(
    remote: Remote,
    query: { revisions?: string[]; paths?: string[]; limit?: number } = {},
  ): Promise<string> {
    const full = { revisions: [], paths: [], limit: 0, ...query };
    const changes = await Array.fromAsync(remote.listChanges(full));
    return changes.map((change) => change.description).join(" ");
  }

  const a = "k".repeat(16);
  const b = `kl${"m".repeat(14)}`;
  const c = `kl${"n".repeat(14)}`;
  const d = "z".repeat(16);

  test("the empty revision is main, else the head that was changed last", async () => {
    const remote = await newRepository();
    expect(await refusalText(remote.getChange(""))).toBe(
      "not-found: the repository has no change yet",
    );
    const first = await add(remote, a, { f: "1" });
    const second = await add(remote, b, { f: "2" }, first);
    expect((await remote.getChange("")).name).toBe(second.name);
    await remote.setBookmark("main", first.name);
    expect((await remote.getChange("")).name).toBe(first.name);
  });

  test("a prefix names a change as soon as no other begins so", async () => {
    const remote = await newRepository();
    await add(remote, a, { f: "1" });
    expect((await remote.getChange("k")).prefix).toBe("k");
    await add(remote, b, { f: "2" });
    await add(remote, c, { f: "3" });
    await add(remote, d, { f: "4" });
    expect((await remote.getChange(a)).prefix).toBe("kk");
    expect((await remote.getChange("klm")).prefix).toBe("klm");
    expect((await remote.getChange("z")).prefix).toBe("z");
    expect(await refusalText(remote.getChange("kl"))).toBe(
      `usage: "kl" names several changes: ${b}, ${c}`,
    );
    expect(await refusal(remote.getChange("y"))).toBe("not-found");
    expect(await refusal(remote.getChange("@"))).toBe("usage");
    expect(await refusal(remote.getChange("a b"))).toBe("usage");
    expect(await refusal(remote.getChange("a\0b"))).toBe("usage");
  });

  test("a bookmark comes before a prefix, which is spelled out longer then", async () => {
    const remote = await newRepository();
    const first = await add(remote, a, { f: "1" });
    const second = await add(remote, d, { f: "2" }, first);
    await remote.setBookmark("k", second.name);
    await remote.setBookmark("kk", second.name);
    expect((await remote.getChange("k")).name).toBe(d);
    expect((await remote.getChange(a)).prefix).toBe("kkk");
    expect(second.parents).toMatchObject([{ change: a, prefix: "k" }]);
    expect((await remote.getChange(d)).parents).toMatchObject([{ change: a, prefix: "kkk" }]);
    expect((await remote.getChange(d)).bookmarks).toEqual(["k", "kk"]);
  });

  test("very many candidates are not all listed", async () => {
    const remote = await newRepository();
    for (const letter of "klmnopqrstuv") await add(remote, `k${letter.repeat(15)}`, { f: letter });
    const text = await refusalText(remote.getChange("k"));
    expect(text.match(/k[k-z]{15}/g)?.length).toBe(10);
    expect(text).toEndWith(" and more");
  });

  test("steps go to first parents and to versions", async () => {
    const remote = await newRepository();
    const first = await add(remote, a, { f: "1" });
    const second = await add(remote, b, { f: "2" }, first);
    const third = await add(remote, c, { f: "3" }, second);
    await publish(remote, { f: "4" }, { change: c, expectedVersion: third.version });
    expect((await remote.getChange("kln-")).name).toBe(b);
    expect((await remote.getChange("kln~2")).name).toBe(a);
    expect((await remote.getChange("kln--")).name).toBe(a);
    expect((await remote.getChange("kln~0")).name).toBe(c);
    expect(await remote.getChange("kln@1")).toMatchObject({ version: 1, currentVersion: 2 });
    expect((await remote.getChange("kln@1-")).name).toBe(b);
    expect(await refusal(remote.getChange("kln@3"))).toBe("not-found");
    expect(await refusalText(remote.getChange(`${a}-`))).toBe(
      `not-found: change ${a} has no parent`,
    );
    expect(await refusalText(remote.getChange("kln~3"))).toBe(
      `not-found: change ${c} has only 2 first ancestors`,
    );
  });

  test("descendants are listed before their ancestors, the newest first", async () => {
    const remote = await newRepository();
    const root = await add(remote, newChangeName(), { d: "root" });
    const left = await add(remote, newChangeName(), { d: "left" }, root);
    const right = await add(remote, newChangeName(), { d: "right" }, root);
    const left2 = await add(remote, newChangeName(), { d: "left2" }, left);
    const merge = await add(remote, newChangeName(), { d: "merge" }, left2, right);
    await add(remote, newChangeName(), { d: "side" }, right);
    await add(remote, newChangeName(), { d: "again" });
    expect(await list(remote, { revisions: [merge.name] })).toBe("merge left2 right left root");
    expect(await list(remote, { revisions: [right.name, left2.name] })).toBe(
      "left2 right left root",
    );
    expect(await list(remote)).toBe("again side merge left2 right left root");
    expect(await list(remote, { limit: 2 })).toBe("again side");
    expect(await list(remote, { revisions: [merge.name], limit: 3 })).toBe("merge left2 right");
    const repository = openRemote(server.channel(), remote.repository);
    expect(await refusal(list(repository))).toBe("denied");
  });

  test("of all changes the newest is first, however long the line that another ends", async () => {
    const remote = await newRepository();
    const old = await add(remote, newChangeName(), { d: "old1" });
    const old2 = await add(remote, newChangeName(), { d: "old2" }, old);
    await add(remote, newChangeName(), { d: "old3" }, old2);
    await add(remote, newChangeName(), { d: "new" });
    expect(await list(remote)).toBe("new old3 old2 old1");
    // Its descendants are older than it is now, and still come before it.
    await remote.describeChange(old.name, "old1 again");
    expect(await list(remote)).toBe("new old3 old2 old1 again");
    await add(remote, newChangeName(), { d: "new2" }, old);
    expect(await list(remote)).toBe("new2 new old3 old2 old1 again");
    expect(await list(remote, { limit: 3 })).toBe("new2 new old3");
  });

  test(`each is the newest of those without children below it (seed ${seed})`, async () => {
    const remote = await newRepository();
    const made: Change[] = [];
    const pick = () => Math.floor(random() * made.length);
    while (made.length < 70) {
      const index = pick();
      const again = made[index];
      if (again && random() < 0.3) {
        made[index] = await remote.describeChange(again.name, `${again.description}.`);
        continue;
      }
      const on = new Set(Array.from({ length: Math.floor(random() * 4) }, () => made[pick()]));
      on.delete(undefined);
      const { change } = await remote.commit({
        requestId: newRequestId(),
        change: newChangeName(),
        expectedVersion: 0,
        tree: emptyTreeHash,
        parents: parents(...([...on] as Change[])),
        description: `${made.length}`,
        child: "",
      });
      made.push(change!);
    }
    const query = { revisions: [], paths: [], limit: 1000 };
    const listed = await Array.fromAsync(remote.listChanges(query));
    expect(listed).toHaveLength(made.length);
    const left = new Map(listed.map((change) => [change.name, change]));
    for (const { name, updatedAt } of listed) {
      const below = new Set([...left.values()].flatMap((change) => change.parents));
      const waiting = new Set([...below].map(({ change }) => change));
      const ready = [...left.values()].filter((change) => !waiting.has(change.name));
      expect(ready.map((change) => change.name)).toContain(name);
      expect(updatedAt).toBe(Math.max(...ready.map((change) => change.updatedAt)));
      left.delete(name);
    }
    for (const limit of [1, 20, 33, 65]) {
      const first = await Array.fromAsync(remote.listChanges({ ...query, limit }));
      expect(first).toEqual(listed.slice(0, limit));
    }
  });

  test("a long history is listed whole, in pages", async () => {
    const remote = await newRepository();
    let last: Change | undefined;
    for (let index = 0; index <= pageMax; index++) {
      const { change } = await remote.commit({
        requestId: newRequestId(),
        change: newChangeName(),
        expectedVersion: 0,
        tree: emptyTreeHash,
        parents: last ? parents(last) : [],
        description: `${index}`,
        child: "",
      });
      last = change!;
    }
    const whole = Array.from({ length: pageMax + 1 }, (_, index) => pageMax - index).join(" ");
    expect(await list(remote, { limit: 1000 })).toBe(whole);
    expect(await list(remote, { revisions: [last!.name], limit: 1000 })).toBe(whole);
  });

  test("changes that touch a path are those that differ there from their parent now", async () => {
    const remote = await newRepository();
    const base = { f: "1", "x/y/one": "1", "x/y/two": "2", xx: "3" };
    const root = await add(remote, newChangeName(), { ...base, d: "root" });
    const one = await add(remote, newChangeName(), { ...base, "x/y/one": "+", d: "one" }, root);
    const edited = { ...base, "x/y/one": "+", d: "two" };
    const two = await add(remote, newChangeName(), { ...edited, "x/y/two": "+" }, one);
    const draft = await add(remote, newChangeName(), { ...edited, xx: "?", "x/y/two": "+" }, two);
    const without = { ...edited, "x/y/two": "+" };
    const undone = { ...without, d: "undone" };
    const next = { change: draft.name, expectedVersion: 1, description: "undone" };
    const head = (await publish(remote, undone, next)).change!;
    const touching = (...paths: string[]) => list(remote, { revisions: [head.name], paths });
    expect(await touching("x/y/one")).toBe("one root");
    expect(await touching("x/y/two")).toBe("two root");
    expect(await touching("x")).toBe("two one root");
    expect(await touching("x/y/two", "x/y/one")).toBe("two one root");
    // The second version of the last change took back what the first did to it.
    expect(await touching("xx")).toBe("root");
    expect(await touching("absent")).toBe("");
    expect(await list(remote, { paths: ["x/y/two"], limit: 1 })).toBe("two");
    expect(await refusal(touching("../x"))).toBe("usage");
  });

  test("an entry is found by its path", async () => {
    const remote = await newRepository();
    const change = await add(remote, a, { f: "1", "x/y/one": "two", l: { link: "f" } });
    const entryAt = async (path: string) => {
      const { entry } = await remote.getEntry(a, path);
      return entry?.$case === "entryTree" ? decodeTree(entry.value) : entry?.value;
    };
    expect(await entryAt("x/y/one")).toMatchObject([{ kind: "file", name: "one", size: 3 }]);
    expect(await entryAt("x/y")).toMatchObject([{ kind: "directory", name: "y" }]);
    expect(await entryAt("l")).toMatchObject([{ kind: "symlink", target: "f" }]);
    expect(await entryAt("")).toEqual(change.tree);
    expect(await refusal(entryAt("x/z"))).toBe("not-found");
    expect(await refusal(entryAt("f/z"))).toBe("not-found");
    expect(await refusal(entryAt("/x"))).toBe("usage");
  });

  test("trees come parents first, once each, and not those that are held", async () => {
    const remote = await newRepository();
    const base = { "same/a/f": "1", "copy/a/f": "1", "d/e/g": "1", h: "1" };
    const first = await add(remote, a, base);
    const second = await add(remote, b, { ...base, "d/e/g": "2", "d/n/o": "3" }, first);
    const trees = async (held: Change | undefined) => {
      const blobs = await Array.fromAsync(remote.getTrees(second.tree, held?.tree));
      return blobs.map(({ bytes }) =>
        decodeTree(bytes)
          .map(({ name }) => name)
          .join(),
      );
    };
    expect((await trees(undefined)).sort()).toEqual(["a", "copy,d,h,same", "e,n", "f", "g", "o"]);
    expect((await trees(undefined))[0]).toBe("copy,d,h,same");
    expect(await trees(first)).toEqual(["copy,d,h,same", "e,n", "g", "o"]);
    expect(await trees(second)).toEqual([]);
    const unknown = await Array.fromAsync(remote.getTrees(second.tree, new Uint8Array(32)));
    expect(unknown.length).toBe(6);
  });
});
