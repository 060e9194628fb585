/** Working copies in temporary directories, and snapshots to fill them with, held in memory. */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { changeName } from "#core/name.ts";
import { hashKey, sha256, sha256Stream, toHex, type Hash } from "#core/hash.ts";
import { chunkLength } from "#core/chunk.ts";
import { chunkBytesMax, objectBytesMax } from "#core/limits.ts";
import { encodeChunkList, encodeObject } from "#core/object.ts";
import { emptyTreeHash, encodeTree, treeHash, type Entry } from "#core/tree.ts";
import type { TreeSource } from "#client/state-directories.ts";
import type { CurrentChange } from "#client/state.ts";
import type { ObjectSource } from "#client/working-copy/stage.ts";
import { createWorkspace, type Workspace } from "#client/workspace.ts";

/** A directory that is removed when it is disposed of. */
export function temporaryDirectory(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "pogo-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** An empty working copy in a temporary directory. */
export function temporaryWorkspace(
  settings: { caseSensitive?: boolean } = {},
): { root: string; workspace: Workspace } & Disposable {
  const directory = temporaryDirectory();
  const { caseSensitive = false } = settings;
  const binding = { server: "http://127.0.0.1:1", repository: "test", caseSensitive };
  const workspace = createWorkspace(directory.path, binding, changeOf(emptyTreeHash));
  return {
    root: workspace.root,
    workspace,
    [Symbol.dispose]() {
      workspace[Symbol.dispose]();
      directory[Symbol.dispose]();
    },
  };
}

/** A change whose version has a tree. */
export function changeOf(tree: Hash): CurrentChange {
  return {
    name: changeName(tree),
    version: 1,
    tree,
    parents: [],
    description: "",
    prefix: "k",
    bookmarks: [],
    sealed: false,
    conflicted: false,
  };
}

/** Files by path: contents, contents that can be run, or where a link leads. */
export type Files = Record<string, string | Uint8Array | { run: string } | { link: string }>;

export type Snapshot = {
  root: Hash;
  current: CurrentChange;
  trees: TreeSource;
  fetch: ObjectSource;
  has(hash: Hash): boolean;
  files: Files;
};

/** Makes the trees and objects of files. */
export function snapshotOf(files: Files): Snapshot {
  const trees = new Map<string, Uint8Array>();
  const objects = new Map<string, Uint8Array>();
  const root = addDirectory(files, { trees, objects });
  return {
    root,
    current: changeOf(root),
    trees: (hash) => trees.get(hashKey(hash)),
    async *fetch(wanted) {
      for (const { hash } of wanted) {
        const bytes = objects.get(hashKey(hash));
        if (!bytes) throw new Error(`no object ${toHex(hash)}`);
        yield { hash, bytes };
      }
    },
    has: (hash) => objects.has(hashKey(hash)),
    files,
  };
}

type Stores = { trees: Map<string, Uint8Array>; objects: Map<string, Uint8Array> };

function addDirectory(files: Files, stores: Stores): Hash {
  const below = new Map<string, Files>();
  const entries: Entry[] = [];
  for (const [path, file] of Object.entries(files)) {
    const slash = path.indexOf("/");
    if (slash < 0) {
      entries.push(addFile(path, file, stores));
      continue;
    }
    const name = path.slice(0, slash);
    const directory = below.get(name) ?? Object.create(null);
    directory[path.slice(slash + 1)] = file;
    below.set(name, directory);
  }
  for (const [name, directory] of below) {
    entries.push({ kind: "directory", name, hash: addDirectory(directory, stores) });
  }
  if (entries.length === 0) return emptyTreeHash;
  const encoded = encodeTree(entries);
  const hash = treeHash(encoded);
  stores.trees.set(hashKey(hash), encoded);
  return hash;
}

function addFile(name: string, file: Files[string], { objects }: Stores): Entry {
  if (typeof file === "object" && "link" in file) {
    return { kind: "symlink", name, target: file.link };
  }
  const executable = typeof file === "object" && "run" in file;
  const contents = contentsOf(file);
  const hash = sha256(contents);
  if (contents.length <= objectBytesMax) objects.set(hashKey(hash), encodeObject(contents));
  else objects.set(hashKey(hash), addChunks(contents, objects));
  return { kind: "file", name, executable, size: contents.length, hash };
}

function addChunks(contents: Uint8Array, objects: Map<string, Uint8Array>): Uint8Array {
  const chunks = [];
  for (let offset = 0; offset < contents.length;) {
    const rest = contents.subarray(offset, offset + chunkBytesMax);
    const chunk = rest.slice(0, chunkLength(rest));
    offset += chunk.length;
    const hash = sha256(chunk);
    objects.set(hashKey(hash), encodeObject(chunk));
    chunks.push({ hash, size: chunk.length });
  }
  return encodeChunkList(chunks);
}

function contentsOf(file: Exclude<Files[string], { link: string }>): Uint8Array {
  if (file instanceof Uint8Array) return file;
  return Buffer.from(typeof file === "string" ? file : file.run);
}

/** Writes files below a directory. */
export function writeFiles(root: string, files: Files): void {
  for (const [path, file] of Object.entries(files)) {
    const absolute = join(root, path);
    mkdirSync(dirname(absolute), { recursive: true });
    if (typeof file === "object" && "link" in file) symlinkSync(file.link, absolute);
    else {
      const mode = typeof file === "object" && "run" in file ? 0o755 : 0o644;
      writeFileSync(absolute, contentsOf(file), { mode });
    }
  }
}

/** Reads all files below a directory but those of `.pogo`; a large one as its hash. */
export function readFiles(root: string): Files {
  const files: Files = Object.create(null);
  const visit = (directory: string) => {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      const name = directory === "" ? entry.name : `${directory}/${entry.name}`;
      const path = join(root, name);
      if (name === ".pogo") continue;
      if (entry.isDirectory()) visit(name);
      else if (entry.isSymbolicLink()) files[name] = { link: readlinkSync(path) };
      else if (entry.isFile()) {
        const bytes = readFileSync(path);
        const text = bytes.length > 10_000 ? hashText(bytes) : bytes.toString();
        files[name] = (lstatSync(path).mode & 0o111) !== 0 ? { run: text } : text;
      }
    }
  };
  visit("");
  return sorted(files);
}

/** The files of a snapshot as `readFiles` would read them. */
export function plainFiles(files: Files): Files {
  const plain = Object.entries(files).map(([path, file]): [string, Files[string]] => {
    if (typeof file === "object" && !(file instanceof Uint8Array)) return [path, file];
    const bytes = contentsOf(file);
    return [path, bytes.length > 10_000 ? hashText(bytes) : Buffer.from(bytes).toString()];
  });
  return sorted(Object.fromEntries(plain));
}

function sorted(files: Files): Files {
  const paths = Object.keys(files).sort();
  return Object.fromEntries(paths.map((path) => [path, files[path]!]));
}

function hashText(bytes: Uint8Array): string {
  const hasher = sha256Stream();
  hasher.update(bytes);
  return toHex(hasher.digest());
}
