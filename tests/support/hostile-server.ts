/** A real listener whose services say what a test wants; unasked, the truth about one change. */
import { hashKey, sha256, type Hash } from "#core/hash.ts";
import { PogoError } from "#core/errors.ts";
import { BookmarkServiceService, type BookmarkServiceServer } from "#gen/pogo/v1/bookmark.ts";
import type { BlobPart, Change } from "#gen/pogo/v1/common.ts";
import { PullServiceService, type ObjectUrl, type PullServiceServer } from "#gen/pogo/v1/pull.ts";
import { QueryServiceService, type QueryServiceServer } from "#gen/pogo/v1/query.ts";
import {
  RepositoryServiceService,
  type Repository,
  type RepositoryServiceServer,
} from "#gen/pogo/v1/repository.ts";
import type { Blob } from "#rpc/blobs.ts";
import { toParts } from "#rpc/blobs.ts";
import { listen } from "#rpc/listen.ts";
import { handlers } from "#rpc/serve.ts";
import { directoryEntry, fileEntry, forgeTree, partOf, plainObject } from "./forge.ts";

type Stream<Message> = AsyncIterable<Message> | Iterable<Message>;

/** What the server answers. */
export type Script = {
  repository(): Repository;
  change(revision: string): Change | undefined;
  changes(): Stream<{ changes: Change[] }>;
  bookmarks(after: string): { bookmarks: { name: string; change?: Change }[]; more: boolean };
  /** The entry of a file, as a tree. */
  entry(): Uint8Array;
  trees(root: Hash): Stream<{ parts: BlobPart[] }>;
  objects(hashes: Hash[]): Stream<{ parts: BlobPart[]; urls?: ObjectUrl[] }>;
};

export type HostileServer = AsyncDisposable & { url: string; script: Script };

/** The honest contents: a file, and one in a directory. */
export const one = plainObject("one");
export const two = plainObject("two");
const below = forgeTree(fileEntry("two.txt", 3, two.hash));
export const root = forgeTree(directoryEntry("dir", below.hash), fileEntry("one.txt", 3, one.hash));
export const honestChange: Change = {
  name: "klmnopqrstuvwxyz",
  prefix: "k",
  description: "honest",
  author: "ann",
  parents: [],
  bookmarks: ["main"],
  createdAt: 1_700_000_000_000,
  updatedAt: 1_700_000_000_000,
  conflicted: false,
  sealed: false,
  version: 1,
  currentVersion: 1,
  tree: root.hash,
  fileCount: 2,
  byteCount: 6,
  versionAuthor: "",
  hidden: false,
};

/** An honest script. */
export function honestScript(): Script {
  const trees = new Map([root, below].map((tree) => [hashKey(tree.hash), tree]));
  const objects = new Map([one, two].map((object) => [hashKey(object.hash), object]));
  return {
    repository: () => ({
      name: "game",
      public: false,
      createdAt: 0,
      writable: true,
      caseSensitive: false,
      role: "write",
    }),
    change: () => honestChange,
    changes: () => [{ changes: [honestChange] }],
    bookmarks: () => ({ bookmarks: [{ name: "main", change: honestChange }], more: false }),
    entry: () => fileEntry("one.txt", 3, one.hash),
    trees: (hash) => {
      const tree = trees.get(hashKey(hash));
      return messages(...(tree === root ? [root, below] : tree ? [tree] : []));
    },
    objects: (hashes) => messages(...hashes.flatMap((hash) => objects.get(hashKey(hash)) ?? [])),
  };
}

/** A snapshot of other entries: the script's change is one of that tree. */
export function snapshotScript(top: Blob, ...others: Blob[]): Partial<Script> {
  const change = { ...honestChange, tree: top.hash };
  return {
    change: () => change,
    changes: () => [{ changes: [change] }],
    trees: () => messages(top, ...others),
  };
}

/** Blobs in messages, as an honest server would send them; their hashes may lie. */
export async function* messages(...blobs: Blob[]): AsyncGenerator<{ parts: BlobPart[] }> {
  for await (const parts of toParts(blobs)) yield { parts };
}

/** Something again and again, as long as anybody listens. */
export async function* endless<Message>(make: (index: number) => Message): AsyncGenerator<Message> {
  for (let index = 0; ; index++) yield make(index);
}

/** A part under a hash that nobody asked for. */
export function strayPart(index: number): BlobPart {
  const bytes = Buffer.from(`stray ${index}`);
  return partOf({ hash: sha256(bytes), bytes });
}

/** Starts the server. Tests change what it does by what they put into `script`. */
export async function startHostileServer(): Promise<HostileServer> {
  const { unary, serverStream } = handlers(() => {});
  const state = { script: honestScript() };
  const unused = unary<unknown, never>(async () => {
    throw new PogoError("denied", "not in this test");
  });
  const repositories: RepositoryServiceServer = {
    getRepository: unary(async () => ({ repository: state.script.repository() })),
    createRepository: unused,
    listRepositories: unused,
    allowCaseCollisions: unused,
    setVisibility: unused,
  };
  const query: QueryServiceServer = {
    getChange: unary(async ({ revision }) => ({ change: state.script.change(revision) })),
    listChanges: serverStream(async function* () {
      yield* state.script.changes();
    }),
    getEntry: unary(async ({ revision }) => ({
      change: state.script.change(revision),
      entry: { $case: "entryTree", value: state.script.entry() },
    })),
    listVersions: serverStream(async function* () {
      throw new PogoError("denied", "not in this test");
    }),
  };
  const pull: PullServiceServer = {
    getTrees: serverStream(async function* ({ root: hash }) {
      yield* state.script.trees(hash);
    }),
    getObjects: serverStream(async function* ({ hashes }) {
      for await (const message of state.script.objects(hashes)) yield { urls: [], ...message };
    }),
  };
  const bookmarks: BookmarkServiceServer = {
    listBookmarks: unary(async ({ after }) => {
      const { bookmarks: listed, more } = state.script.bookmarks(after);
      return {
        bookmarks: listed.map(({ name, change }) => ({ name, change, updatedAt: 0 })),
        more,
      };
    }),
    setBookmark: unused,
    deleteBookmark: unused,
  };
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    services: [
      { definition: RepositoryServiceService, implementation: repositories },
      { definition: QueryServiceService, implementation: query },
      { definition: PullServiceService, implementation: pull },
      { definition: BookmarkServiceService, implementation: bookmarks },
    ],
    http: (_, response) => response.end(),
  });
  return {
    url: `http://127.0.0.1:${listener.port}`,
    get script() {
      return state.script;
    },
    set script(script) {
      state.script = script;
    },
    [Symbol.asyncDispose]: () => listener.close(0),
  };
}
