/** A git repository's trees and files as Pogo's, converted when they are asked for. */
import { hashKey, type Hash } from "#core/hash.ts";
import type { MergeResult, MergeStore } from "#core/merge.ts";
import { diffTrees, type TreeDifference } from "#core/tree-diff.ts";
import { decodeTree, type Entry, type FileEntry } from "#core/tree.ts";
import type { GitEntry, GitObjects } from "./git-objects.ts";

const heldMax = 400_000;

/**
 * Git's hashes stand for Pogo's, padded to their length: contents need not be read to be named.
 * Trees are opened, and files read, only when the merge asks for them.
 */
export class GitSnapshots implements MergeStore {
  readonly #objects: GitObjects;
  readonly #roots = new Map<string, Hash>();
  readonly #trees = new Map<string, Entry[]>();
  readonly #sizes = new Map<string, number>();
  readonly #texts = new Map<string, Uint8Array>();

  constructor(objects: GitObjects) {
    this.#objects = objects;
  }

  async rootOf(commit: string): Promise<Hash> {
    const held = this.#roots.get(commit);
    if (held) return held;
    const object = await this.#objects.read(commit);
    const tree = /^tree (\w+)/.exec(Buffer.from(object!.bytes).toString("latin1"))?.[1];
    const root = await this.rootOfTree(tree!);
    this.#roots.set(commit, root);
    return root;
  }

  readBlob(oid: string): Promise<Uint8Array> {
    return this.#objects.readBlob(oid);
  }

  rootOfTree = async (oid: string): Promise<Hash> => toHash(oid);

  loadTrees = async (hashes: readonly Hash[]): Promise<Map<string, readonly Entry[]>> => {
    const loaded = await Promise.all(
      hashes.map(async (hash) => [hashKey(hash), await this.#entries(hash)] as const),
    );
    return new Map(loaded);
  };

  loadText = async (entry: FileEntry): Promise<Uint8Array | undefined> => {
    const stored = this.#texts.get(hashKey(entry.hash));
    if (stored) return stored;
    return (await this.#objects.read(toOid(entry.hash)))?.bytes;
  };

  putText = async (bytes: Uint8Array): Promise<{ hash: Hash; size: number }> => {
    const hash = gitBlob(bytes);
    this.#texts.set(hashKey(hash), bytes);
    return { hash, size: bytes.length };
  };

  /** Where a merge's result is not the tree that git made. */
  async differences(root: Hash, own: MergeResult): Promise<TreeDifference[]> {
    const built = new Map(own.trees.map(({ hash, encoded }) => [hashKey(hash), encoded]));
    const loadTrees = async (hashes: readonly Hash[]): Promise<Map<string, readonly Entry[]>> => {
      const loaded = hashes.map(async (hash) => {
        const encoded = built.get(hashKey(hash));
        const entries = encoded ? decodeTree(encoded) : await this.#entries(hash);
        return [hashKey(hash), entries] as const;
      });
      return new Map(await Promise.all(loaded));
    };
    return await Array.fromAsync(diffTrees(loadTrees, root, own.root));
  }

  /** Keeps memory bounded over thousands of merges. */
  forgetSome(): void {
    this.#texts.clear();
    if (this.#trees.size > heldMax / 20) this.#trees.clear();
    if (this.#sizes.size > heldMax) this.#sizes.clear();
  }

  async #entries(hash: Hash): Promise<Entry[]> {
    const held = this.#trees.get(hashKey(hash));
    if (held) return held;
    const listed = await this.#objects.readTree(toOid(hash));
    const entries = await Promise.all(listed.map((entry) => this.#entry(entry)));
    entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    this.#trees.set(hashKey(hash), entries);
    return entries;
  }

  async #entry({ mode, name: bytes, oid }: GitEntry): Promise<Entry> {
    const name = Buffer.from(bytes).toString("utf8");
    if (mode === "040000") return { kind: "directory", name, hash: toHash(oid) };
    // A submodule is neither file nor directory here: its commit is all there is to compare.
    if (mode === "160000") return { kind: "symlink", name, target: `commit:${oid}` };
    if (mode === "120000") {
      const target = Buffer.from(await this.#objects.readBlob(oid)).toString("latin1");
      return { kind: "symlink", name, target };
    }
    const executable = mode === "100755";
    return { kind: "file", name, executable, size: await this.#sizeOf(oid), hash: toHash(oid) };
  }

  async #sizeOf(oid: string): Promise<number> {
    let size = this.#sizes.get(oid);
    if (size === undefined) {
      size = await this.#objects.readSize(oid);
      this.#sizes.set(oid, size);
    }
    return size;
  }
}

function gitBlob(bytes: Uint8Array): Hash {
  const hasher = new Bun.CryptoHasher("sha1");
  hasher.update(`blob ${bytes.length}\0`);
  return toHash(hasher.update(bytes).digest("hex"));
}

function toHash(oid: string): Hash {
  const hash = new Uint8Array(32);
  hash.set(Uint8Array.fromHex(oid));
  return hash;
}

function toOid(hash: Hash): string {
  return Buffer.from(hash.subarray(0, 20)).toString("hex");
}
