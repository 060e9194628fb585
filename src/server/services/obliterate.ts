import { PogoError } from "#core/errors.ts";
import { toHex, type Hash } from "#core/hash.ts";
import { encodeTombstone } from "#core/object.ts";
import { obliteratedKeptMs, reasonBytesMax } from "#core/limits.ts";
import { checkPath } from "#core/path.ts";
import type { ObliterateRequest, ObliterateResponse } from "#gen/pogo/v1/storage.ts";
import { audit } from "../access/audit.ts";
import { requireAdmin, requireUser, type Caller } from "../auth.ts";
import { transaction, type Queries, type Sql } from "../db/connect.ts";
import {
  findContents,
  findTombstones,
  findWhole,
  listBringing,
  listPathContents,
  listTombstones,
  obliterate as obliterateRows,
  takeChunks,
} from "../db/obliterated.ts";
import type { ObjectStore } from "../store/store.ts";
import type { Parts } from "./calls.ts";
import { checkHash } from "./requests.ts";

const versionsTold = 200;

/**
 * Deletes contents for good. First it is noted, so that nobody gets or sends them any more; then
 * the bytes go. If that is interrupted, upkeep goes on with it.
 */
export async function obliterate(
  { sql, store }: Parts,
  request: ObliterateRequest,
  caller: Caller | undefined,
): Promise<ObliterateResponse> {
  const user = requireUser(caller);
  const { repository, path, dryRun, reason } = request;
  if (!dryRun) checkReason(reason);
  const contents = await findAsked(sql, request, caller);
  const hashes = contents.map(({ hash }) => hash);
  const whole = await findWhole(sql, hashes);
  if (whole) {
    const chunk = `object ${toHex(whole.chunk)} is a part of a larger file`;
    throw new PogoError("usage", chunk, { hint: `pogo admin obliterate ${toHex(whole.whole)}` });
  }
  const { versions, count } = await listBringing(sql, hashes, versionsTold);
  if (!dryRun) {
    const { chunks } = await transaction(sql, async (tx) => {
      const done = await obliterateRows(tx, hashes, { reason, userName: user.userName });
      if (done.fresh.length > 0) {
        const details = { objects: done.fresh.map(toHex), reason, ...(path !== "" && { path }) };
        await audit(tx, user, { ...(repository && { repositoryName: repository }), details });
      }
      return done;
    });
    for (const hash of hashes) await store.delete(hash);
    await transaction(sql, async (tx) => {
      for (const hash of await takeChunks(tx, chunks)) await store.delete(hash);
    });
  }
  return { contents, versions, versionCount: count };
}

/**
 * Deletes what was obliterated lately, once more: another server may have had it in its cache, or
 * have been about to store it.
 */
export async function sweepObliterated(sql: Sql, store: ObjectStore): Promise<void> {
  for (const { hash } of await listTombstones(sql, obliteratedKeptMs)) await store.delete(hash);
}

/** What is sent for contents that were obliterated; nothing if they were not. */
export async function readTombstone(sql: Queries, hash: Hash): Promise<Uint8Array | undefined> {
  const [found] = await findTombstones(sql, [hash]);
  if (!found) return undefined;
  const { rawSize, reason, obliteratedAt } = found;
  return encodeTombstone({ hash, size: rawSize }, { reason, at: obliteratedAt });
}

async function findAsked(
  sql: Sql,
  { repository, path, object }: ObliterateRequest,
  caller: Caller | undefined,
): Promise<{ hash: Hash; size: number }[]> {
  if (object.length > 0) {
    const found = await findContents(sql, checkHash(object));
    if (found.length > 0) return found;
    throw new PogoError("not-found", `no object ${toHex(object)}`);
  }
  checkPath(path);
  const { repositoryId } = (await requireAdmin(sql, caller, repository)).repository;
  const found = await listPathContents(sql, repositoryId, path);
  if (found.length > 0) return found;
  const message = `no file ${JSON.stringify(path)} was ever in repository ${repository}`;
  throw new PogoError("not-found", message);
}

function checkReason(reason: string): void {
  if (reason === "" || Buffer.byteLength(reason) > reasonBytesMax || /\p{Cc}/u.test(reason)) {
    throw new PogoError("usage", `a reason is a line of at most ${reasonBytesMax} bytes`, {
      hint: 'say why, for who misses it: --reason "a key that leaked"',
    });
  }
}
