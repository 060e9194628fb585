/**
 * Verifies what is stored: that every version has its tree, every tree what it names and the
 * sizes that it says, and that the store has every object as it was. A repository is not collected
 * while its trees are verified; pushes go on.
 */
import { isPogoError, PogoError } from "#core/errors.ts";
import { hashKey } from "#core/hash.ts";
import type { Hash } from "#core/hash.ts";
import { decodeChunkList, inspectObject } from "#core/object.ts";
import { verifyTree, type Entry } from "#core/tree.ts";
import { listHoldings } from "../db/collection.ts";
import type { Sql } from "../db/connect.ts";
import { findObjects, noteDamaged } from "../db/objects.ts";
import { namedHashes } from "../db/revive.ts";
import { findTrees, type TreeRow } from "../db/trees.ts";
import {
  findAffected,
  listTreeless,
  listUnknownObjects,
  pageLargeFiles,
  pageObjects,
  pageTrees,
  type AffectedFile,
} from "../db/verification.ts";
import { beginWalk, continueWalk, endWalk, type Walk } from "../db/walks.ts";
import { measureTree } from "../services/push/store-trees.ts";
import { inLanes } from "../store/lanes.ts";
import type { ObjectStore } from "../store/store.ts";
import { placesOf, problemOf, repairObject, sentence, type Stored } from "./repair.ts";

/** Something that is not as it must be. */
export type Finding = {
  kind: "version" | "tree" | "object";
  hash: Hash;
  /** What is wrong, as a sentence without its subject. */
  problem: string;
  /** Where, when no file tells. */
  repository: string;
  /** It was not, and is now. */
  repaired: boolean;
  affected: Omit<AffectedFile, "object">[];
};

export type Verified = { trees: number; objects: number; bytes: number; findings: Finding[] };

type ObjectRow = { hash: Hash; rawSize: number };
type Problem = Omit<Finding, "affected" | "repaired"> & { repaired?: boolean };

export type VerifyOptions = {
  /** Of the objects whose hash is computed, from 0 to 1. */
  share: number;
  /** Where to look for what is damaged, in order to repair it; nothing: it is not repaired. */
  sources?: readonly ObjectStore[] | undefined;
};

const treesPerPage = 32;
const objectsPerPage = 256;
const readLanesMax = 4;
const firstHash = new Uint8Array(0);

/**
 * Verifies all repositories and the store: every object's checksum, and the hash of a share of
 * them. Says from time to time what was verified and found since it last did.
 */
export async function* verify(parts: Stored, options: VerifyOptions): AsyncGenerator<Verified> {
  for (const { repositoryId, name } of await listHoldings(parts.sql)) {
    yield* verifyRepository(parts, repositoryId, name);
  }
  yield* verifyObjects(parts, options);
}

/** Verifies objects alone: a share of them, or the checksums of all when it is 0. */
export async function* verifyObjects(
  parts: Stored,
  { share, sources }: VerifyOptions,
): AsyncGenerator<Verified> {
  // Not the same objects every time.
  const seed = crypto.getRandomValues(new BigUint64Array(1))[0]!;
  const isChosen = ({ hash }: { hash: Hash }) =>
    share >= 1 || Number(Bun.hash.xxHash64(hash, seed)) / 2 ** 64 < share;
  // With a share that is less than all, the others are not read either: that is what takes long.
  const isRead = share > 0 && share < 1 ? isChosen : () => true;
  // A list of chunks is right once they are: what could not be repaired is tried again at the end.
  const left: { row: ObjectRow; found: Problem }[] = [];
  for (let after: Hash = firstHash; ;) {
    const rows = await pageObjects(parts.sql, after, objectsPerPage);
    const last = rows.at(-1);
    if (!last) break;
    after = last.hash;
    const problems: Problem[] = [];
    const chosen = rows.filter(isRead);
    await inLanes(chosen, readLanesMax, async (row) => {
      const problem = await verifyObject(parts, row, isChosen(row));
      if (!problem) return;
      const repaired = sources !== undefined && (await repairObject(parts, row, sources));
      const found = { kind: "object", hash: row.hash, problem, repository: "", repaired } as const;
      if (sources && !repaired) left.push({ row, found });
      else problems.push(found);
    });
    const bytes = chosen.reduce((sum, row) => sum + row.storedSize, 0);
    yield await verified(parts.sql, { objects: chosen.length, bytes }, problems);
  }
  for (const { row, found } of left) {
    const repaired = await repairObject(parts, row, sources ?? []);
    yield await verified(parts.sql, {}, [{ ...found, repaired }]);
  }
}

async function* verifyRepository(
  parts: Stored,
  repositoryId: number,
  repository: string,
): AsyncGenerator<Verified> {
  const { sql } = parts;
  const walk = await beginWalk(sql, repositoryId);
  if (!walk) {
    throw new PogoError("unavailable", `repository ${repository} is being collected or verified`, {
      hint: "try again in a while",
    });
  }
  try {
    const problems: Problem[] = [];
    for (const { change, number, author, tree } of await listTreeless(sql, repositoryId)) {
      const problem = `version ${number} of change ${change}, by ${author}, has lost its tree`;
      problems.push({ kind: "version", hash: tree, problem, repository });
    }
    for (const hash of await listUnknownObjects(sql, repositoryId)) {
      problems.push({ kind: "object", hash, problem: "is not known to the store", repository });
    }
    yield await verified(sql, {}, problems);
    yield* verifyTrees(sql, walk, repository);
    yield* verifyLargeFiles(parts, walk, repository);
  } finally {
    await endWalk(sql, walk);
  }
}

async function* verifyTrees(sql: Sql, walk: Walk, repository: string): AsyncGenerator<Verified> {
  for (let after: Hash = firstHash; ;) {
    const rows = await pageTrees(sql, walk.repositoryId, after, treesPerPage);
    const last = rows.at(-1);
    if (!last) return;
    after = last.hash;
    const problems: Problem[] = [];
    for (const row of rows) {
      const problem = await verifyTreeRow(sql, walk.repositoryId, row);
      if (problem) problems.push({ kind: "tree", hash: row.hash, problem, repository });
    }
    await continueWalk(sql, walk);
    yield await verified(sql, { trees: rows.length }, problems);
  }
}

async function verifyTreeRow(
  sql: Sql,
  repositoryId: number,
  row: TreeRow,
): Promise<string | undefined> {
  try {
    const entries: Entry[] = verifyTree(row.hash, row.data);
    const named = namedHashes(entries);
    const size = measureTree(row.hash, entries, {
      objects: await findObjects(sql, repositoryId, named.objects),
      trees: await findTrees(sql, repositoryId, named.trees),
    });
    const isSame =
      size.fileCount === row.fileCount &&
      size.byteCount === row.byteCount &&
      size.conflicted === row.conflicted;
    return isSame ? undefined : "counts its files wrongly";
  } catch (error) {
    if (!isPogoError(error)) throw error;
    return error.message;
  }
}

/** A large file's chunks must be held by whoever holds the file. */
async function* verifyLargeFiles(
  { sql, store }: Stored,
  walk: Walk,
  repository: string,
): AsyncGenerator<Verified> {
  for (let after: Hash = firstHash; ;) {
    const hashes = await pageLargeFiles(sql, walk.repositoryId, after, treesPerPage);
    const last = hashes.at(-1);
    if (!last) return;
    after = last;
    const problems: Problem[] = [];
    for (const hash of hashes) {
      // One that cannot be read is found when all objects are.
      const encoded = await store.get(hash).catch(() => undefined);
      if (!encoded || inspectObject(encoded).codec !== "chunks") continue;
      const chunks = decodeChunkList(encoded).map((chunk) => chunk.hash);
      const held = await findObjects(sql, walk.repositoryId, chunks);
      const lost = chunks.filter((chunk) => !held.has(hashKey(chunk)));
      if (lost.length === 0) continue;
      const problem = `has lost ${lost.length} of its ${chunks.length} chunks`;
      problems.push({ kind: "object", hash, problem, repository });
    }
    await continueWalk(sql, walk);
    yield await verified(sql, {}, problems);
  }
}

/** Reads an object wherever it lies; says what is wrong with it, and notes that it is lost. */
async function verifyObject(
  parts: Stored,
  row: ObjectRow,
  isHashed: boolean,
): Promise<string | undefined> {
  const { hash } = row;
  const problems: string[] = [];
  let isRight = false;
  let isAway = false;
  for (const place of placesOf(parts)) {
    let problem: string | undefined;
    try {
      problem = await problemOf(parts.store, row, await place.get(hash), isHashed);
      isRight ||= problem === undefined;
    } catch (error) {
      isAway ||= isPogoError(error, "unavailable");
      if (!isPogoError(error, "not-found")) problem = sentence(hash, error);
    }
    if (problem !== undefined) problems.push(problem);
  }
  if (isRight) return problems[0] && `${problems[0]}; on another volume it is whole`;
  if (!isAway) await noteDamaged(parts.sql, hash);
  return problems[0] ?? "has disappeared from the store";
}

async function verified(
  sql: Sql,
  counts: Partial<Omit<Verified, "findings">>,
  problems: readonly Problem[],
): Promise<Verified> {
  const objects = problems.filter(({ kind }) => kind === "object").map(({ hash }) => hash);
  const affected = Map.groupBy(await findAffected(sql, objects), (file) => hashKey(file.object));
  const findings = problems.map((problem) => ({
    repaired: false,
    ...problem,
    affected: problem.kind === "object" ? (affected.get(hashKey(problem.hash)) ?? []) : [],
  }));
  return { trees: 0, objects: 0, bytes: 0, ...counts, findings };
}
