/** A repository in which time passes, and what must be in it by an independent account. */
import { newRequestId, type Remote } from "#client/remote.ts";
import { hashKey, keyHash, sha256, toHex, type Hash } from "#core/hash.ts";
import { objectBytesMax } from "#core/limits.ts";
import { decodeObject, encodeChunkList, encodeObject } from "#core/object.ts";
import type { Effects } from "#core/operation.ts";
import { decodeTree, emptyTreeHash, encodeTree } from "#core/tree.ts";
import type { VersionRef } from "#gen/pogo/v1/common.ts";
import type { CommitResponse } from "#gen/pogo/v1/push.ts";
import type { Blob } from "#rpc/blobs.ts";
import type { Sql } from "#server/db/connect.ts";
import { namedHashes } from "#server/db/revive.ts";
import type { ObjectStore } from "#server/store/store.ts";
import { newChangeName } from "./publish.ts";
import { MemoryStore } from "./snapshot.ts";

type Version = {
  id: number;
  change: string;
  number: number;
  tree: string;
  createdAt: number;
  base: number | null;
};

const chunkBytes = 2 * 1024 * 1024;

/** What is to be sent for a file: a large one's chunks come before the list of them. */
export function blobsOf(raw: Uint8Array): Blob[] {
  const hash = sha256(raw);
  if (raw.length <= objectBytesMax) return [{ hash, bytes: encodeObject(raw) }];
  const chunks: Blob[] = [];
  const list: { hash: Hash; size: number }[] = [];
  for (let offset = 0; offset < raw.length; offset += chunkBytes) {
    const part = raw.subarray(offset, offset + chunkBytes);
    chunks.push({ hash: sha256(part), bytes: encodeObject(part) });
    list.push({ hash: sha256(part), size: part.length });
  }
  return [...chunks, { hash, bytes: encodeChunkList(list) }];
}

/** Trees and objects below a root, all that it needs, in hexadecimal. */
export function closureOf(contents: MemoryStore, root: Hash) {
  const [trees, objects] = [new Set<string>(), new Set<string>()];
  const open = [root];
  for (let tree = open.pop(); tree; tree = open.pop()) {
    if (trees.has(toHex(tree))) continue;
    trees.add(toHex(tree));
    const named = namedHashes(contents.trees.get(hashKey(tree))!);
    open.push(...named.trees);
    for (const hash of named.objects) {
      for (const blob of blobsOf(contents.files.get(hashKey(hash))!)) objects.add(toHex(blob.hash));
    }
  }
  return { trees, objects };
}

/** A push that stops for a while after each step, and begins again where it cannot go on. */
export type SlowPush = {
  step(remote: Remote): Promise<void>;
  /** As a client that has heard nothing does. */
  restart(): void;
  isDone(): boolean;
  /** Since it was told what is held. */
  hours: number;
};

/** Begins to push a snapshot: as a version of a change, or as a new one with parents. */
export function startPush(
  contents: MemoryStore,
  push: { root: Hash; change?: string; parents?: VersionRef[] },
  committed: (answer: CommitResponse) => void = () => {},
): SlowPush {
  const trees = new Map<string, Hash>();
  const objects = new Map<string, Hash>();
  const gather = (root: Hash) => {
    for (const entry of contents.trees.get(hashKey(root))!) {
      if (entry.kind === "directory") gather(entry.hash);
      if (entry.kind === "file") objects.set(hashKey(entry.hash), entry.hash);
    }
    // Children come before parents.
    trees.set(hashKey(root), root);
  };
  gather(push.root);
  const blobs = [...objects.keys()].flatMap((key) => blobsOf(contents.files.get(key)!));
  const [name, child] = [newChangeName(), newChangeName()];
  let missing = { objects: [] as number[], trees: [] as number[] };
  const steps = [
    async (remote: Remote) => {
      const asked = blobs.map(({ hash }) => hash);
      missing = await remote.findMissing(asked, [...trees.values()]);
    },
    async (remote: Remote) => {
      await remote.putObjects(missing.objects.map((index) => blobs[index]!));
    },
    async (remote: Remote) => {
      const hashes = [...trees.values()];
      const sent = missing.trees.map((index) => hashes[index]!);
      await remote.putTrees(
        sent.map((hash) => ({ hash, bytes: encodeTree(contents.trees.get(hashKey(hash))!) })),
      );
    },
    async (remote: Remote) => {
      const known = push.change && (await remote.getChange(push.change));
      const answer = await remote.commit({
        requestId: newRequestId(),
        change: known ? known.name : name,
        expectedVersion: known ? known.version : 0,
        tree: push.root,
        parents: known ? [] : (push.parents ?? []),
        child,
      });
      committed(answer);
    },
  ];
  let next = 0;
  return {
    hours: 0,
    step: async (remote) => steps[next++]?.(remote),
    restart() {
      next = 0;
      this.hours = 0;
    },
    isDone: () => next >= steps.length,
  };
}

/** Lets time pass: everything becomes older. */
export async function pass(sql: Sql, ms: number): Promise<void> {
  const by = `interval '${Math.round(ms)} milliseconds'`;
  await sql.unsafe(`
    alter table operations disable trigger user;
    update operations set created_at = created_at - ${by};
    alter table operations enable trigger user;
    update versions set created_at = created_at - ${by};
    update trees set condemned_at = condemned_at - ${by} where condemned_at is not null;
    update repository_objects set condemned_at = condemned_at - ${by}
      where condemned_at is not null;
    update walks set heard_at = heard_at - ${by};
    update objects set doomed_at = doomed_at - ${by} where doomed_at is not null;`);
}

/** What is held now, in the database and in the store. */
export async function holdings(sql: Sql, store: ObjectStore) {
  const hexes = (rows: { hash: Hash }[]) => new Set(rows.map(({ hash }) => toHex(hash)));
  const trees = hexes(await sql`select hash from trees`);
  const objects = hexes(await sql`select hash from repository_objects`);
  const stored = new Set<string>();
  for await (const hash of store.list()) stored.add(toHex(hash));
  return { trees, objects, stored };
}

/** Takes in what the server made, as it does where changes follow one that is removed. */
export async function learn(contents: MemoryStore, sql: Sql, store: ObjectStore): Promise<void> {
  const rows = await sql<{ hash: Hash; data: Uint8Array }[]>`select hash, data from trees`;
  for (const { hash, data } of rows) {
    if (contents.trees.has(hashKey(hash))) continue;
    const entries = decodeTree(data);
    contents.trees.set(hashKey(hash), entries);
    for (const object of namedHashes(entries).objects) {
      if (contents.files.has(hashKey(object))) continue;
      contents.files.set(hashKey(object), decodeObject(object, await store.get(object)));
    }
  }
}

/** What must be there: found by loops over all rows, and not by the queries that are tested. */
export async function needed(sql: Sql, contents: MemoryStore, retentionMs: number) {
  const since = Date.now() - retentionMs;
  const versions = (
    await sql<(Omit<Version, "tree" | "createdAt"> & { tree: Hash; createdAt: Date })[]>`
      select v.version_id as id, c.name as change, v.number, v.tree, v.created_at,
        v.base_version_id as base
      from versions v join changes c using (repository_id, change_id)`
  ).map((row) => ({ ...row, tree: hashKey(row.tree), createdAt: row.createdAt.getTime() }));
  const changes = await sql<{ name: string; versionId: number; isRemoved: boolean }[]>`
    select name, version_id, removed_at is not null as is_removed from changes`;
  const operations = await sql<{ effects: Effects; createdAt: Date }[]>`
    select effects, created_at from operations`;
  const parents = await sql<{ versionId: number; parentVersionId: number }[]>`
    select version_id, parent_version_id from version_parents`;
  const kept = new Set(changes.filter((one) => !one.isRemoved).map((one) => one.versionId));
  for (const { id, createdAt } of versions) if (createdAt >= since) kept.add(id);
  const shown = new Set(changes.filter((one) => !one.isRemoved).map((one) => one.name));
  for (const { effects, createdAt } of operations) {
    if (createdAt.getTime() < since) continue;
    for (const { change, before, after } of effects.changes) {
      // Its removal can be undone.
      shown.add(change);
      for (const version of versions) {
        const numbers = [before?.version, after.version];
        if (version.change === change && numbers.includes(version.number)) kept.add(version.id);
      }
    }
  }
  for (const { id, change } of versions) {
    const next = versions.filter((version) => version.base === id && version.change === change);
    if (shown.has(change) && next.length > 1) kept.add(id);
  }
  for (const id of kept) {
    for (const parent of parents) if (parent.versionId === id) kept.add(parent.parentVersionId);
  }
  const trees = new Set([toHex(emptyTreeHash)]);
  const objects = new Set<string>();
  for (const { id, tree } of versions) {
    if (!kept.has(id)) continue;
    const below = closureOf(contents, keyHash(tree));
    for (const hash of below.trees) trees.add(hash);
    for (const hash of below.objects) objects.add(hash);
  }
  return { trees, objects };
}
