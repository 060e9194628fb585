/** What the server says: its changes, its bookmarks, the last operation, and what trees hold. */
import { listOperations, type LoggedOperation } from "#client/operations.ts";
import type { Remote } from "#client/remote.ts";
import type { ConflictTerm } from "#core/conflict.ts";
import { fromHex, sha256, toHex, type Hash } from "#core/hash.ts";
import { decodeObject, encodeObject } from "#core/object.ts";
import { decodeTree, emptyTreeHash, encodeTree, treeHash, type Entry } from "#core/tree.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { valueOf, type Term, type Value } from "./terms.ts";

export type Observed = {
  changes: Change[];
  bookmarks: Map<string, string>;
  last: LoggedOperation | undefined;
};

/** A snapshot as the model spells it, and the entries that it consists of. */
export type Snapshot = { values: Map<string, Value>; entries: Map<string, Entry> };

export type Blob = { hash: Hash; bytes: Uint8Array };

/** Asks for everything that can be seen. */
export async function observe(remote: Remote): Promise<Observed> {
  const query = { revisions: [], paths: [], limit: 10_000 };
  const [changes, bookmarks, operations] = await Promise.all([
    Array.fromAsync(remote.listChanges(query)),
    Array.fromAsync(remote.listBookmarks()),
    Array.fromAsync(listOperations(remote, { from: 0, limit: 1 })),
  ]);
  const named = new Map(bookmarks.map(({ name, change }) => [name, change!.name]));
  return { changes, bookmarks: named, last: operations[0] };
}

/** Reads snapshots, each once. */
export function openSnapshots() {
  const known = new Map<string, Snapshot>();

  async function read(remote: Remote, root: Hash): Promise<Snapshot> {
    const key = toHex(root);
    const found = known.get(key) ?? (await fetchSnapshot(remote, root));
    known.set(key, found);
    return found;
  }

  return { read };
}

/** Fetches every tree of a snapshot. */
export async function fetchSnapshot(remote: Remote, root: Hash): Promise<Snapshot> {
  const trees = new Map<string, Entry[]>([[toHex(emptyTreeHash), []]]);
  if (toHex(root) !== toHex(emptyTreeHash)) {
    for await (const { hash, bytes } of remote.getTrees(root, undefined)) {
      trees.set(toHex(hash), decodeTree(bytes));
    }
  }
  const entries = new Map<string, Entry>();
  const visit = (hash: Hash, prefix: string): void => {
    for (const entry of trees.get(toHex(hash))!) {
      const path = prefix + entry.name;
      if (entry.kind === "directory") visit(entry.hash, `${path}/`);
      else entries.set(path, entry);
    }
  };
  visit(root, "");
  const values = new Map([...entries].map(([path, entry]) => [path, valueOfEntry(entry)]));
  return { values, entries };
}

/** Fetches every object that snapshots name, and checks it against its hash. */
export async function verifyObjects(
  remote: Remote,
  snapshots: Iterable<Snapshot>,
): Promise<number> {
  const hashes = new Set<string>();
  for (const { entries } of snapshots) {
    for (const entry of entries.values()) {
      const terms = entry.kind === "conflict" ? [...entry.sides, ...entry.bases] : [entry];
      for (const term of terms) if (term?.kind === "file") hashes.add(toHex(term.hash));
    }
  }
  let count = 0;
  for await (const { hash, bytes } of remote.getObjects([...hashes].map(fromHex))) {
    decodeObject(hash, bytes);
    count++;
  }
  if (count !== hashes.size) throw new Error(`${hashes.size - count} objects are missing`);
  return count;
}

/** A file or link that nobody else has. */
export function newEntry(
  kind: "file" | "run" | "link",
  text: string,
): { entry: Entry; blob?: Blob } {
  if (kind === "link") return { entry: { kind: "symlink", name: "", target: text } };
  const bytes = new TextEncoder().encode(`${text}\n`);
  const hash = sha256(bytes);
  const executable = kind === "run";
  const entry: Entry = { kind: "file", name: "", executable, size: bytes.length, hash };
  return { entry, blob: { hash, bytes: encodeObject(bytes) } };
}

/** The trees of a snapshot, children before their parents; the root is the last. */
export function treesOf(entries: ReadonlyMap<string, Entry>): Blob[] {
  const trees: Blob[] = [];
  const build = (prefix: string): Hash => {
    const found = new Map<string, Entry>();
    for (const [path, entry] of entries) {
      if (!path.startsWith(prefix)) continue;
      const [name = "", ...below] = path.slice(prefix.length).split("/");
      if (below.length === 0) found.set(name, { ...entry, name });
      else if (!found.has(name)) {
        found.set(name, { kind: "directory", name, hash: build(`${prefix}${name}/`) });
      }
    }
    const bytes = encodeTree([...found.values()]);
    const hash = treeHash(bytes);
    trees.push({ hash, bytes });
    return hash;
  };
  build("");
  return trees;
}

/** An entry as the model spells it. */
export function valueOfEntry(entry: Entry): Value {
  if (entry.kind !== "conflict") return termOf(entry);
  return valueOf(entry.sides.map(termOf), entry.bases.map(termOf));
}

function termOf(term: ConflictTerm | undefined): Term {
  if (term === undefined) return "";
  if (term.path !== undefined) throw new Error(`a file was taken for one moved from ${term.path}`);
  if (term.kind === "symlink") return `link:${term.target}`;
  if (term.kind === "file") return `${term.executable ? "run" : "file"}:${toHex(term.hash)}`;
  throw new Error("a directory was taken for a side of a conflict");
}
