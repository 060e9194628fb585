import { PogoError } from "#core/errors.ts";
import { treeBytesMax } from "#core/limits.ts";
import { foldName } from "#core/path.ts";
import { verifyTree, type Entry } from "#core/tree.ts";
import type { PutTreesRequest, PutTreesResponse } from "#gen/pogo/v1/push.ts";
import { fromParts } from "#rpc/blobs.ts";
import { requireWrite, type Caller } from "../../auth.ts";
import type { RepositoryRow } from "../../db/repositories.ts";
import type { Parts } from "../calls.ts";
import { openRequests } from "../requests.ts";
import { storeTrees, type NewTree } from "./store-trees.ts";

const batchBytes = 4 * 1024 * 1024;
const batchCount = 1024;
// Names that fold to themselves, which is most names.
const plainName = /^[a-z0-9_.-]*[a-z0-9_-]$/;

/** Stores the trees that arrive, children before parents, in batches. */
export async function putTrees(
  { sql }: Parts,
  requests: AsyncIterable<PutTreesRequest>,
  caller: Caller | undefined,
): Promise<PutTreesResponse> {
  const { repository: name, messages } = await openRequests(requests);
  const { repository } = await requireWrite(sql, caller, name);
  let stored = 0;
  let batch: NewTree[] = [];
  let gatheredBytes = 0;
  const flush = async () => {
    const trees = batch;
    batch = [];
    gatheredBytes = 0;
    stored += await storeTrees(sql, repository.repositoryId, trees);
  };
  try {
    for await (const { hash, bytes } of fromParts(messages, treeBytesMax)) {
      const entries = verifyTree(hash, bytes);
      if (!repository.caseSensitive) checkCollisions(repository, entries);
      batch.push({ hash, data: bytes, entries });
      gatheredBytes += bytes.length;
      if (gatheredBytes >= batchBytes || batch.length >= batchCount) await flush();
    }
  } finally {
    await flush();
  }
  return { trees: stored };
}

/** Refuses names in one directory that some systems cannot tell apart. */
export function checkCollisions(repository: RepositoryRow, entries: Entry[]): void {
  const names = new Map<string, string>();
  for (const { name } of entries) {
    const fold = plainName.test(name) ? name : foldName(name);
    const other = names.get(fold);
    if (other !== undefined) {
      const both = `${JSON.stringify(other)} and ${JSON.stringify(name)}`;
      throw new PogoError("usage", `${both} are one name on macOS and Windows`, {
        hint: `rename one: repository ${repository.name} does not allow both in one directory`,
      });
    }
    names.set(fold, name);
  }
}
