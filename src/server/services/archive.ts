import { PogoError } from "#core/errors.ts";
import { hashKey, sha256, toHex } from "#core/hash.ts";
import { frameBytes, pathsPerRequestMax } from "#core/limits.ts";
import { checkPath, joinPath, parentPath, pathProblem, symlinkEscapes } from "#core/path.ts";
import { compareNames, decodeTree, type Entry } from "#core/tree.ts";
import {
  ArchiveFormat,
  type ArchiveServiceServer,
  type GetArchiveRequest,
  type GetArchiveResponse,
} from "#gen/pogo/v1/archive.ts";
import type { Change } from "#gen/pogo/v1/common.ts";
import { gather } from "../archive/gather.ts";
import type { ArchiveEntry, ArchiveSource } from "../archive/source.ts";
import { tarArchive } from "../archive/tar.ts";
import { zipArchive } from "../archive/zip.ts";
import { requireRead, type Caller } from "../auth.ts";
import { readVersionTime } from "../db/changes.ts";
import type { Queries } from "../db/connect.ts";
import { listObliterated } from "../db/obliterated.ts";
import { findTrees } from "../db/trees.ts";
import type { CallHandlers, Parts } from "./calls.ts";
import { readChangeMessage } from "./change-message.ts";
import { resolveRevision } from "./revision.ts";
import { findEntry } from "./tree-lookup.ts";
import { lostTree, treeReader, type TreeReader } from "./tree-walk.ts";

/** An archive that can be made: nothing has been read of its files yet. */
export type Archive = {
  change: Change;
  isPublic: boolean;
  /** Differs from that of every other archive. */
  tag: string;
  bytes(): AsyncGenerator<Uint8Array>;
};

const writers = {
  [ArchiveFormat.ARCHIVE_FORMAT_ZIP]: zipArchive,
  [ArchiveFormat.ARCHIVE_FORMAT_TAR_ZSTD]: tarArchive,
};

/** Makes the service. */
export function archiveService(parts: Parts, { serverStream }: CallHandlers): ArchiveServiceServer {
  return {
    getArchive: serverStream(async function* (
      request: GetArchiveRequest,
      caller,
    ): AsyncGenerator<GetArchiveResponse> {
      const { change, bytes } = await openArchive(parts, request, caller);
      yield { change, data: new Uint8Array(0) };
      for await (const data of bytes()) yield { change: undefined, data };
    }),
  };
}

/** Finds what is to go into an archive, and refuses what cannot. */
export async function openArchive(
  { sql, store }: Parts,
  { repository, revision, format, paths }: GetArchiveRequest,
  caller: Caller | undefined,
): Promise<Archive> {
  const { repositoryId, public: isPublic } = await requireRead(sql, caller, repository);
  const write = format in writers ? writers[format as keyof typeof writers] : undefined;
  if (!write) throw new PogoError("usage", "no such format of archives");
  if (paths.length > pathsPerRequestMax) {
    throw new PogoError("usage", `${paths.length} paths: ${pathsPerRequestMax} may be`);
  }
  paths.forEach(checkPath);
  const { versionId } = await resolveRevision(sql, repositoryId, revision);
  const change = await readChangeMessage(sql, repositoryId, versionId, caller);
  const read = treeReader(sql, repositoryId);
  const roots = await findRoots(read, change, paths);
  await refuseConflicts(sql, repositoryId, roots, change);
  // Once: what goes in must be the same each time.
  const obliterated = new Set((await listObliterated(sql)).map(hashKey));
  const source: ArchiveSource = {
    entries: () => walk(read, roots, obliterated),
    get: (hash) => store.get(hash),
    time: await readVersionTime(sql, repositoryId, versionId),
  };
  const what = [change.name, change.version, format, [...paths].sort(), obliterated.size];
  const tag = toHex(sha256(Buffer.from(JSON.stringify(what))));
  return { change, isPublic, tag, bytes: () => gather(write(source), frameBytes) };
}

type Root = { path: string; entry: Entry };

async function findRoots(
  read: TreeReader,
  { name, prefix, tree }: Change,
  paths: readonly string[],
): Promise<Root[]> {
  if (paths.length === 0) return [{ path: "", entry: { kind: "directory", name: "", hash: tree } }];
  const roots: Root[] = [];
  for (const path of withoutNested(paths)) {
    const entry = await findEntry(read, tree, path);
    if (!entry) {
      const where = `change ${name} has no ${JSON.stringify(path)}`;
      throw new PogoError("not-found", where, { hint: `see what it has: pogo ls ${prefix}` });
    }
    roots.push({ path, entry });
  }
  return roots;
}

/** The paths in order, each once, but for those below another one. */
function withoutNested(paths: readonly string[]): string[] {
  const asked = new Set(paths);
  const isBelowAnother = (path: string) => {
    for (let above = parentPath(path); above !== ""; above = parentPath(above)) {
      if (asked.has(above)) return true;
    }
    return false;
  };
  return [...asked].filter((path) => !isBelowAnother(path)).sort(compareNames);
}

// Files with markers in them would pass for what somebody wrote.
async function refuseConflicts(
  sql: Queries,
  repositoryId: number,
  roots: readonly Root[],
  change: Change,
): Promise<void> {
  const trees = roots.flatMap(({ entry }) => (entry.kind === "directory" ? [entry.hash] : []));
  const found = await findTrees(sql, repositoryId, trees);
  for (const tree of trees) {
    if (!found.has(hashKey(tree))) throw await lostTree(sql, repositoryId, tree);
  }
  const isConflicted =
    [...found.values()].some(({ conflicted }) => conflicted) ||
    roots.some(({ entry }) => entry.kind === "conflict");
  if (!isConflicted) return;
  throw new PogoError("conflict", `change ${change.name} holds conflicts`, {
    hint: `resolve them first: pogo edit ${change.prefix}, pogo resolve`,
  });
}

/** Walks over all but what was obliterated. */
async function* walk(
  read: TreeReader,
  roots: readonly Root[],
  obliterated: ReadonlySet<string>,
): AsyncGenerator<ArchiveEntry> {
  for (const { path, entry } of roots) {
    for await (const found of walkEntry(read, path, entry)) {
      const isGone = found.kind === "file" && obliterated.has(hashKey(found.hash));
      if (!isGone) yield found;
    }
  }
}

async function* walkEntry(
  read: TreeReader,
  path: string,
  entry: Entry,
): AsyncGenerator<ArchiveEntry> {
  if (entry.kind === "directory") {
    for await (const { bytes } of read([entry.hash])) {
      for (const child of decodeTree(bytes)) {
        yield* walkEntry(read, joinPath(path, child.name), child);
      }
    }
    return;
  }
  const problem = pathProblem(path);
  if (problem) throw new PogoError("corrupt", `path ${JSON.stringify(path)} ${problem}`);
  if (entry.kind === "conflict") throw new Error("a tree without conflicts has one");
  if (entry.kind === "file") {
    const { executable, size, hash } = entry;
    yield { kind: "file", path, executable, size, hash };
    return;
  }
  if (symlinkEscapes(path, entry.target)) {
    throw new PogoError("corrupt", `symlink ${JSON.stringify(path)} leads out of the repository`);
  }
  yield { kind: "symlink", path, target: entry.target };
}
