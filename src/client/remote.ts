/** One repository on a server, as the client sees it: calls with the repository filled in. */
import { commitDeadlineMs, hashesPerRequestMax, treeBytesMax } from "#core/limits.ts";
import { isPogoError } from "#core/errors.ts";
import { hashKey, type Hash } from "#core/hash.ts";
import { encodedBytesMax } from "#core/object.ts";
import { compareNames } from "#core/tree.ts";
import {
  ArchiveServiceService as Archives,
  type ArchiveFormat,
  type GetArchiveResponse,
} from "#gen/pogo/v1/archive.ts";
import { BookmarkServiceService as Bookmarks, type Bookmark } from "#gen/pogo/v1/bookmark.ts";
import { ChangeServiceService as Changes, type RemoveChangeResponse } from "#gen/pogo/v1/change.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import {
  MergeServiceService as Merges,
  type MergeChangesResponse,
  type SyncBookmarkResponse,
} from "#gen/pogo/v1/merge.ts";
import {
  OperationServiceService as Operations,
  type ListOperationsResponse,
  type RedoOperationResponse,
  type RestoreOperationResponse,
  type UndoOperationResponse,
} from "#gen/pogo/v1/operation.ts";
import { PullServiceService as Pull, type ObjectUrl } from "#gen/pogo/v1/pull.ts";
import { CommitOutcome, type CommitRequest, type CommitResponse } from "#gen/pogo/v1/push.ts";
import {
  QueryServiceService as Query,
  type GetEntryResponse,
  type Version,
} from "#gen/pogo/v1/query.ts";
import { RepositoryServiceService as Repositories } from "#gen/pogo/v1/repository.ts";
import type { Repository } from "#gen/pogo/v1/repository.ts";
import { pushMethods } from "#rpc/blob-methods.ts";
import { fromParts, toParts, type Blob } from "#rpc/blobs.ts";
import type { Channel } from "#rpc/channel.ts";
import { checkRewriting, historyCalls } from "./history.ts";
import { openObjectFetcher, type Located } from "./object-urls.ts";
import { askedObjects, checkChange, namedTrees, present, wrong } from "./received.ts";

export type Remote = ReturnType<typeof openRemote>;

/** What a mutation needs beside its own arguments. */
export type CommitArguments = Omit<CommitRequest, "repository">;

/** Sixteen random bytes by which the server knows a request that is sent again. */
export function newRequestId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

/** Binds a channel to a repository. The channel stays its opener's to close. */
export function openRemote(channel: Channel, repository: string, signal?: AbortSignal) {
  const settings = { signal };
  const fetcher = openObjectFetcher({ ...channel, signal });

  /**
   * Positions of those objects and trees that the repository lacks, and how many bytes it may hold
   * more. Refused if these are less than `bytes`.
   */
  async function findMissing(objects: Hash[], trees: Hash[], bytes?: number) {
    const asked = { repository, objects, trees, bytes };
    if (objects.length + trees.length <= hashesPerRequestMax) {
      return await channel.unary(pushMethods.findMissing, asked, settings);
    }
    const missing = {
      objects: [] as number[],
      trees: [] as number[],
      obliterated: [] as number[],
      room: undefined,
    };
    for (const kind of ["objects", "trees"] as const) {
      const all = kind === "objects" ? objects : trees;
      for (let start = 0; start < all.length; start += hashesPerRequestMax) {
        const page = all.slice(start, start + hashesPerRequestMax);
        const request = { ...asked, objects: [], trees: [], [kind]: page };
        const answer = await channel.unary(pushMethods.findMissing, request, settings);
        for (const index of answer[kind]) missing[kind].push(start + index);
        for (const index of answer.obliterated) missing.obliterated.push(start + index);
      }
    }
    return missing;
  }

  async function* withRepository(blobs: AsyncIterable<Blob> | Iterable<Blob>) {
    let name = repository;
    for await (const parts of toParts(blobs)) {
      yield { repository: name, parts };
      name = "";
    }
  }

  /** Objects as the server answers, which may say that some are elsewhere, in the order asked. */
  async function* locateObjects(hashes: Hash[], acceptUrls: boolean): AsyncGenerator<Located> {
    const request = { repository, hashes, acceptUrls };
    const urls = new Map<string, ObjectUrl>();
    const urlsMax = acceptUrls ? hashes.length : 0;
    async function* messages() {
      for await (const message of channel.serverStream(Pull.getObjects, request, settings)) {
        for (const url of message.urls) urls.set(hashKey(url.hash), url);
        if (urls.size > urlsMax) throw wrong("says where objects are, unasked");
        yield message;
      }
    }
    const sent = fromParts(messages(), encodedBytesMax, "corrupt");
    try {
      // URLs come first: all are known by then.
      let next = await sent.next();
      for (const hash of hashes) {
        const url = urls.get(hashKey(hash));
        if (!url && next.done) return;
        yield url ?? next.value;
        if (!url) next = await sent.next();
      }
      if (!next.done) yield next.value;
    } finally {
      await sent.return(undefined);
    }
  }

  async function* ownObjects(hashes: Hash[]): AsyncGenerator<Blob> {
    for await (const object of locateObjects(hashes, false)) {
      if ("bytes" in object) yield object;
    }
  }

  async function* getObjects(hashes: Hash[]): AsyncGenerator<Blob> {
    for (let start = 0; start < hashes.length; start += hashesPerRequestMax) {
      const page = hashes.slice(start, start + hashesPerRequestMax);
      yield* askedObjects(page, fetcher.follow(locateObjects(page, fetcher.isOn), ownObjects));
    }
  }

  async function getEntry(revision: string, path: string): Promise<GetEntryResponse> {
    return await channel.unary(Query.getEntry, { repository, revision, path }, settings);
  }

  /** As getEntry; nothing when the revision does not have the path. */
  async function findEntry(revision: string, path: string): Promise<GetEntryResponse | undefined> {
    try {
      return await getEntry(revision, path);
    } catch (error) {
      if (isPogoError(error, "not-found")) return undefined;
      throw error;
    }
  }

  async function getChange(revision: string): Promise<Change> {
    const { change } = await channel.unary(Query.getChange, { repository, revision }, settings);
    return checkChange(change);
  }

  async function* listChanges(query: {
    revisions: string[];
    paths: string[];
    limit: number;
  }): AsyncGenerator<Change> {
    const request = { repository, ...query };
    let listed = 0;
    for await (const page of channel.serverStream(Query.listChanges, request, settings)) {
      for (const change of page.changes) {
        if (query.limit > 0 && listed++ === query.limit) return;
        yield checkChange(change);
      }
    }
  }

  async function* listBookmarks(): AsyncGenerator<Bookmark> {
    for (let after = "", more = true; more;) {
      const page = await channel.unary(Bookmarks.listBookmarks, { repository, after }, settings);
      for (const bookmark of page.bookmarks) {
        if (compareNames(after, bookmark.name) >= 0) throw wrong("lists bookmarks in circles");
        checkChange(bookmark.change);
        yield bookmark;
        after = bookmark.name;
      }
      more = page.more && page.bookmarks.length > 0;
    }
  }

  async function* listVersions(revision: string, limit: number): AsyncGenerator<Version> {
    const request = { repository, revision, limit };
    for await (const page of channel.serverStream(Query.listVersions, request, settings)) {
      for (const version of page.versions) {
        checkChange(version.change);
        yield version;
      }
    }
  }

  return {
    repository,
    findMissing,
    getObjects,
    getEntry,
    findEntry,
    getChange,
    listChanges,
    listBookmarks,
    listVersions,
    putObjects: (blobs: AsyncIterable<Blob> | Iterable<Blob>) =>
      channel.clientStream(pushMethods.putObjects, withRepository(blobs), settings),
    putTrees: (blobs: AsyncIterable<Blob> | Iterable<Blob>) =>
      channel.clientStream(pushMethods.putTrees, withRepository(blobs), settings),
    commit: async (request: CommitArguments): Promise<CommitResponse> => {
      const asked = { repository, ...request };
      const timed = { ...settings, deadlineMs: commitDeadlineMs };
      const answer = await channel.unary(pushMethods.commit, asked, timed);
      checkChange(answer.change);
      if (answer.outcome === CommitOutcome.COMMIT_OUTCOME_DIVERGED) checkChange(answer.current);
      if (answer.rewriting) checkRewriting(answer.rewriting);
      return answer;
    },
    getTrees: (root: Hash, held: Hash | undefined): AsyncGenerator<Blob> => {
      const request = { repository, root, held: held ?? new Uint8Array() };
      const messages = channel.serverStream(Pull.getTrees, request, settings);
      return namedTrees(root, fromParts(messages, treeBytesMax, "corrupt"));
    },
    getArchive: (query: {
      revision: string;
      format: ArchiveFormat;
      paths: string[];
    }): AsyncGenerator<GetArchiveResponse> =>
      channel.serverStream(Archives.getArchive, { repository, ...query }, settings),
    describeChange: async (revision: string, description: string): Promise<Change> => {
      const request = { repository, requestId: newRequestId(), revision, description };
      return checkChange((await channel.unary(Changes.describeChange, request, settings)).change);
    },
    removeChange: async (revision: string): Promise<RemoveChangeResponse> => {
      const request = { repository, requestId: newRequestId(), revision };
      const timed = { ...settings, deadlineMs: commitDeadlineMs };
      const answer = await channel.unary(Changes.removeChange, request, timed);
      checkRewriting(answer.rewriting);
      return answer;
    },
    ...historyCalls(channel, repository, { ...settings, deadlineMs: commitDeadlineMs }),
    mergeChanges: async (request: {
      requestId: Uint8Array;
      revisions: string[];
      description: string;
      change: string;
    }): Promise<MergeChangesResponse> => {
      const timed = { ...settings, deadlineMs: commitDeadlineMs };
      const answer = await channel.unary(Merges.mergeChanges, { repository, ...request }, timed);
      checkChange(answer.change);
      return answer;
    },
    syncBookmark: async (request: {
      requestId: Uint8Array;
      bookmark: string;
      revision: string;
      description: string;
      change: string;
      rebase?: boolean;
      dryRun?: boolean;
    }): Promise<SyncBookmarkResponse> => {
      const timed = { ...settings, deadlineMs: commitDeadlineMs };
      const answer = await channel.unary(Merges.syncBookmark, { repository, ...request }, timed);
      checkChange(answer.change);
      return answer;
    },
    setBookmark: (name: string, revision: string, expectedChange?: string) => {
      const request = { repository, requestId: newRequestId(), name, revision, expectedChange };
      return channel.unary(Bookmarks.setBookmark, request, settings);
    },
    deleteBookmark: (name: string, expectedChange?: string) => {
      const request = { repository, requestId: newRequestId(), name, expectedChange };
      return channel.unary(Bookmarks.deleteBookmark, request, settings);
    },
    listOperations: (query: {
      from: number;
      limit: number;
    }): AsyncGenerator<ListOperationsResponse> =>
      channel.serverStream(Operations.listOperations, { repository, ...query }, settings),
    undoOperation: (request: {
      requestId: Uint8Array;
      number: number;
      ageMsMax?: number | undefined;
    }): Promise<UndoOperationResponse> =>
      channel.unary(Operations.undoOperation, { repository, ...request }, settings),
    redoOperation: (request: {
      requestId: Uint8Array;
      ageMsMax?: number | undefined;
    }): Promise<RedoOperationResponse> =>
      channel.unary(Operations.redoOperation, { repository, ...request }, settings),
    restoreOperation: (request: {
      requestId: Uint8Array;
      number: number;
    }): Promise<RestoreOperationResponse> => {
      const timed = { ...settings, deadlineMs: commitDeadlineMs };
      return channel.unary(Operations.restoreOperation, { repository, ...request }, timed);
    },
    getRepository: async (): Promise<Repository> => {
      const request = { name: repository };
      return present(
        (await channel.unary(Repositories.getRepository, request, settings)).repository,
      );
    },
    createRepository: async (options: {
      public: boolean;
      caseSensitive: boolean;
    }): Promise<Repository> => {
      const request = { name: repository, requestId: newRequestId(), ...options };
      const answer = await channel.unary(Repositories.createRepository, request, settings);
      return present(answer.repository);
    },
    allowCaseCollisions: async (): Promise<Repository> => {
      const request = { repository, requestId: newRequestId() };
      const answer = await channel.unary(Repositories.allowCaseCollisions, request, settings);
      return present(answer.repository);
    },
  };
}
