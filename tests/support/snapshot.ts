/** Snapshots in memory, spelled as `{ path: text }`, for tests of what works on trees. */
import { hashKey, sha256, type Hash } from "#core/hash.ts";
import { joinPath } from "#core/path.ts";
import {
  decodeTree,
  emptyTreeHash,
  encodeTree,
  treeHash,
  type Entry,
  type FileEntry,
} from "#core/tree.ts";

/** A file's text, or `{ link }`, or `{ run }` for an executable. */
export type SnapshotFile = string | Uint8Array | { link: string } | { run: string };
export type Snapshot = Record<string, SnapshotFile>;

/** A store of trees and files that counts which trees were opened. */
export class MemoryStore {
  readonly trees = new Map<string, Entry[]>([[hashKey(emptyTreeHash), []]]);
  readonly files = new Map<string, Uint8Array>();
  readonly opened: Hash[] = [];
  batches = 0;

  loadTrees = async (hashes: readonly Hash[]): Promise<Map<string, Entry[]>> => {
    this.batches++;
    this.opened.push(...hashes);
    return new Map(hashes.map((hash) => [hashKey(hash), this.trees.get(hashKey(hash))!]));
  };

  loadText = async (entry: FileEntry): Promise<Uint8Array | undefined> => {
    return this.files.get(hashKey(entry.hash));
  };

  putText = async (bytes: Uint8Array): Promise<{ hash: Hash; size: number }> => {
    const hash = sha256(bytes);
    this.files.set(hashKey(hash), bytes);
    return { hash, size: bytes.length };
  };

  /** Takes in trees that a merge handed back. */
  addEncoded(trees: readonly { hash: Hash; encoded: Uint8Array }[]): void {
    for (const { hash, encoded } of trees) this.trees.set(hashKey(hash), decodeTree(encoded));
  }

  addTree(entries: Entry[]): Hash {
    const hash = treeHash(encodeTree(entries));
    this.trees.set(
      hashKey(hash),
      entries.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))),
    );
    return hash;
  }

  addFile(name: string, file: SnapshotFile): Entry {
    if (typeof file === "object" && "link" in file) {
      return { kind: "symlink", name, target: file.link };
    }
    const executable = typeof file === "object" && "run" in file;
    const text = executable ? file.run : file;
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const hash = sha256(bytes);
    this.files.set(hashKey(hash), bytes);
    return { kind: "file", name, executable, size: bytes.length, hash };
  }

  /** Stores a snapshot and returns its root. */
  add(snapshot: Snapshot): Hash {
    const below = new Map<string, Snapshot>();
    const entries: Entry[] = [];
    for (const [path, file] of Object.entries(snapshot)) {
      const slash = path.indexOf("/");
      if (slash < 0) {
        entries.push(this.addFile(path, file));
        continue;
      }
      const directory = below.get(path.slice(0, slash)) ?? {};
      directory[path.slice(slash + 1)] = file;
      below.set(path.slice(0, slash), directory);
    }
    for (const [name, directory] of below) {
      entries.push({ kind: "directory", name, hash: this.add(directory) });
    }
    return this.addTree(entries);
  }

  /** Lists every file under a root as entries by path. */
  list(root: Hash, path = ""): Map<string, Entry> {
    const found = new Map<string, Entry>();
    for (const entry of this.trees.get(hashKey(root)) ?? []) {
      const full = joinPath(path, entry.name);
      if (entry.kind !== "directory") found.set(full, entry);
      else for (const [key, value] of this.list(entry.hash, full)) found.set(key, value);
    }
    return found;
  }
}
