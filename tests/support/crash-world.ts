/** What crash tests share: working copies that change at random, and proof that nothing is lost. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import type { Remote } from "#client/remote.ts";
import { State } from "#client/state.ts";
import { isPogoError } from "#core/errors.ts";
import { hashKey, keyHash, toHex, type Hash } from "#core/hash.ts";
import { decodeObject, encodeObject } from "#core/object.ts";
import { decodeTree, emptyTreeHash } from "#core/tree.ts";
import { MemoryStore, type Snapshot } from "./snapshot.ts";

export type RandomNumber = () => number;

/** How often to kill in all: what POGO_TEST_KILLS says, 20 in CI, or else not often. */
export const killCount = Number(process.env["POGO_TEST_KILLS"] ?? 4);

const names = Array.from({ length: 40 }, (_, index) => `d${index % 4}/e${index % 3}/f${index}`);

/** Changes some files below a directory, adds some and removes some. */
export function changeFiles(root: string, random: RandomNumber, count = 12): void {
  for (let index = 0; index < count; index++) {
    const path = join(root, names[Math.floor(random() * names.length)]!);
    if (random() < 0.15) {
      rmSync(path, { force: true });
      continue;
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, randomBytes(random, Math.floor(random() ** 4 * 300_000)));
  }
  // Something always differs, and the directory is never empty.
  writeFileSync(join(root, "always"), randomBytes(random, 20));
}

/** Bytes of a seeded generator: half of them compress. */
export function randomBytes(random: RandomNumber, length: number): Uint8Array {
  const bytes = new Uint32Array(Math.ceil(length / 4));
  const mask = random() < 0.5 ? 0xffff_ffff : 0x0f0f_0f0f;
  for (let index = 0; index < bytes.length; index++) bytes[index] = (random() * 2 ** 32) & mask;
  return new Uint8Array(bytes.buffer, 0, length);
}

/** All files below a directory but those of `.pogo`. */
export function readSnapshot(root: string): Snapshot {
  const snapshot: Snapshot = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name).slice(root.length + 1);
    if (path.startsWith(".pogo") || !entry.isFile()) continue;
    snapshot[path] = new Uint8Array(readFileSync(join(root, path)));
  }
  return snapshot;
}

/** Hash of the tree that a directory's files make. */
export function treeOf(root: string): string {
  return toHex(new MemoryStore().add(readSnapshot(root)));
}

/** What a push of these files must send, as the server sees it now. */
export async function missingOf(
  remote: Remote,
  root: string,
): Promise<{ objects: number; bytes: number }> {
  const store = new MemoryStore();
  store.add(readSnapshot(root));
  const files = [...store.files];
  const missing = await remote.findMissing(
    files.map(([key]) => keyHash(key)),
    [],
  );
  const sizes = missing.objects.map((index) => encodeObject(files[index]![1]).length);
  return { objects: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Tells a working copy where its server listens now. */
export function rebind(root: string, url: string): void {
  using state = State.open(join(root, ".pogo"));
  state.setBinding({ ...state.binding, server: url });
}

/** Every version of a repository, by name and number, with the hash of its tree. */
export type Versions = Map<string, string>;

/**
 * Fetches every version that there is, all its trees and all its objects, and checks each against
 * its hash. What `known` holds already is only compared, unless `again` asks for everything.
 */
export async function verifyVersions(
  remote: Remote,
  known: Versions = new Map(),
  again = false,
): Promise<Versions> {
  const versions: Versions = new Map();
  const objects = new Map<string, { hash: Hash; size: number }>();
  const query = { revisions: [], paths: [], limit: 100_000 };
  for (const { name } of await Array.fromAsync(remote.listChanges(query))) {
    for (let number = 1; ; number++) {
      const id = `${name}@${number}`;
      const change = await findChange(remote, id);
      if (!change) break;
      const tree = toHex(change.tree);
      versions.set(id, tree);
      const before = known.get(id);
      if (before !== undefined && before !== tree) throw new Error(`${id} has become another`);
      if (before === undefined || again) await collectFiles(remote, change.tree, objects);
    }
  }
  for (const id of known.keys()) if (!versions.has(id)) throw new Error(`${id} is lost`);
  const wanted = [...objects.values()];
  let index = 0;
  for await (const { hash, bytes } of remote.getObjects(wanted.map((object) => object.hash))) {
    const contents = decodeObject(hash, bytes);
    if (contents.length !== wanted[index++]!.size) throw new Error(`${toHex(hash)}: another size`);
  }
  return versions;
}

async function findChange(remote: Remote, revision: string) {
  try {
    return await remote.getChange(revision);
  } catch (error) {
    if (isPogoError(error, "not-found")) return undefined;
    throw error;
  }
}

async function collectFiles(
  remote: Remote,
  root: Hash,
  objects: Map<string, { hash: Hash; size: number }>,
): Promise<void> {
  const named = new Set([hashKey(root)]);
  const received = new Set([hashKey(emptyTreeHash)]);
  for await (const { hash, bytes } of remote.getTrees(root, undefined)) {
    received.add(hashKey(hash));
    for (const entry of decodeTree(bytes)) {
      if (entry.kind === "directory") named.add(hashKey(entry.hash));
      if (entry.kind === "file") objects.set(hashKey(entry.hash), entry);
    }
  }
  const missing = named.difference(received);
  if (missing.size > 0) throw new Error(`${missing.size} trees below ${toHex(root)} are missing`);
}
