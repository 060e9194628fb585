/** Objects for whoever has a signed URL: see access/object-urls.ts. */
import { PogoError } from "#core/errors.ts";
import { fromHex, hashKey } from "#core/hash.ts";
import { decodeObject, inspectObject } from "#core/object.ts";
import type { UrlClaim } from "../access/object-urls.ts";
import { findObjects } from "../db/objects.ts";
import { findRepository } from "../db/repositories.ts";
import type { Parts } from "./calls.ts";

/** What is sent: contents, or one frame of zstd. */
export type SentObject = { encoding: "zstd" | undefined; payload: Uint8Array };

/** Finds the object that a URL is for, and refuses a URL that was not made for it. */
export async function getSignedObject(
  { sql, store, objectUrls }: Parts,
  asked: { repository: string; hash: string } & UrlClaim,
): Promise<SentObject> {
  const hash = fromHex(asked.hash);
  const { repository } = asked;
  const found = await findRepository(sql, repository, undefined);
  // As one that is not there: nothing was signed for it either.
  const scope = { repositoryId: found?.repositoryId ?? 0, repository, hash };
  if (!found || !objectUrls?.isValid(scope, asked)) {
    throw new PogoError("denied", "the URL was not made here, or was made too long ago");
  }
  const held = await findObjects(sql, found.repositoryId, [hash]);
  const row = held.get(hashKey(hash));
  // Some cache may have what was obliterated still.
  if (!row || row.isObliterated) throw noSuchObject();
  const encoded = await store.get(hash);
  const { codec, payload } = inspectObject(encoded);
  if (codec === "raw") return { encoding: undefined, payload };
  if (codec === "zstd") return { encoding: "zstd", payload };
  // HTTP's "deflate" is another format than ours.
  if (codec === "deflate") return { encoding: undefined, payload: decodeObject(hash, encoded) };
  throw noSuchObject();
}

function noSuchObject(): PogoError {
  return new PogoError("not-found", "the repository does not hold the object in one piece");
}
